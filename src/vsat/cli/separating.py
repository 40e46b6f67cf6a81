"""`vsat separate`: recordings in; voices, a picture and a table out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.failures import FAILED, explain, report
from vsat.cli.meter import meter
from vsat.cli.output import json_option, one_line, print_json, print_table, say, warn
from vsat.errors import AudioError, Cancelled, UsageError, VsatError
from vsat.progress import duration_text

if TYPE_CHECKING:
    from vsat.separator import SeparationResult, VoiceSeparator


@dataclass(frozen=True)
class Job:
    """A recording and the folder that its voices go to."""

    mixture: Path
    folder: Path

    @property
    def picture(self) -> Path:
        """Where the spectrograms go."""
        return self.folder / f"{self.mixture.stem}.png"


@click.command(short_help="Separate recordings into their voices.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the results. Default: NAME_voices in the current folder, for each FILE.",
)
@click.option("--model", metavar="ID[@VERSION]", help="Default: the model that came with vsat.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "openvino", "onnxruntime", "torch"]),
    default="auto",
    help="What runs the model. Default: the first of these that is installed.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "f32", "bf16"]),
    default="auto",
    help="Default: bf16 where it was measured to be faithful, else f32.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Default: one for each core.")
@click.option("--picture/--no-picture", default=True, help="Draw spectrograms. Default: yes.")
@json_option
@click.pass_obj
def separate(
    invocation: Invocation,
    files: Sequence[Path],
    output: Path | None,
    model: str | None,
    engine: str,
    precision: str,
    threads: int | None,
    picture: bool,
    as_json: bool,
) -> int:
    """Separate each FILE into its voices.

    Of talk.flac it makes talk.voice1.wav, talk.voice2.wav and talk.png (the mixture and the voices
    as spectrograms) in the folder talk_voices, at the rate and of the length of the recording. Any
    format that libsndfile reads will do: WAV, FLAC, Ogg, Opus, MP3, AIFF. Where one FILE fails, the
    others are still separated.
    """
    jobs = plan(files, output)
    with meter("Loading the model"):
        separator = _open_separator(invocation, model, engine, precision, threads)
    done: list[dict[str, Any]] = []
    failed: list[tuple[Job, Exception]] = []
    for job in jobs:
        try:
            outcome = _separate(separator, job, picture=picture)
        except Cancelled:
            raise
        except (VsatError, OSError) as error:
            failed.append((job, error))
            if len(jobs) > 1:
                report(error)
        else:
            done.append(outcome)
            if not as_json:
                _print_outcome(outcome)
    if as_json:
        print_json({"separated": done, "failed": [_failure(*pair) for pair in failed]})
    return _conclude(len(jobs), failed)


def plan(files: Sequence[Path], output: Path | None) -> list[Job]:
    """Say where each recording's results go.

    Raises:
        UsageError: results of two recordings would have the same names.
    """
    jobs: dict[str, Job] = {}
    for mixture in files:
        stem = mixture.stem.casefold()  # as file systems see it that ignore case
        if stem in jobs:
            raise UsageError(
                f"{jobs[stem].mixture} and {mixture} have the same name, "
                "so the voices of one would overwrite those of the other.",
                hint="Separate them one by one, each with its own --output.",
            )
        jobs[stem] = Job(mixture, output or Path(f"{mixture.stem}_voices"))
    return list(jobs.values())


def _open_separator(
    invocation: Invocation, model: str | None, engine: str, precision: str, threads: int | None
) -> "VoiceSeparator":
    from vsat.registry import DEFAULT_MODEL_ID
    from vsat.separator import VoiceSeparator

    return VoiceSeparator(
        model or DEFAULT_MODEL_ID,
        registry=invocation.registry(),
        engine=engine,
        precision=precision,
        threads=threads,
    )


def _separate(separator: "VoiceSeparator", job: Job, *, picture: bool) -> dict[str, Any]:
    """Do one recording; return what `--json` says of it."""
    _check_name(job.mixture)
    is_new = not job.folder.exists()
    try:
        with meter(f"Separating {one_line(job.mixture.name)}") as progress:
            result = separator.separate(job.mixture, job.folder, progress=progress)
        if picture:
            from vsat.picture import draw_spectrograms

            with meter(f"Drawing {one_line(job.picture.name)}"):
                draw_spectrograms(job.mixture, result.paths, job.picture)
    except BaseException:
        if is_new:
            _remove_if_empty(job.folder)
        raise
    return _outcome(job, result, picture=picture)


def _check_name(mixture: Path) -> None:
    try:
        str(mixture).encode()
    except UnicodeEncodeError as error:  # what reads and writes audio takes only text
        raise AudioError(
            f"The name of {mixture} is not valid text.", hint="Rename it and run it again."
        ) from error


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it has something in it, or was never made
        return


def _outcome(job: Job, result: "SeparationResult", *, picture: bool) -> dict[str, Any]:
    from vsat.cli.levels import level_db

    voices = [
        {"path": str(path), "seconds": result.seconds, "level_dbfs": level_db(path)}
        for path in result.paths
    ]
    return {
        "mixture": str(job.mixture),
        "folder": str(job.folder.absolute()),
        "voices": voices,
        "picture": str(job.picture) if picture else None,
        "sample_rate": result.sample_rate,
        "seconds": result.seconds,
        "elapsed_s": result.elapsed_s,
        "real_time_factor": result.real_time_factor,
        "model": result.model,
        "engine": result.engine,
        "precision": result.precision,
        "warnings": list(result.warnings),
    }


def _print_outcome(outcome: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [
        (voice["path"], f"{voice['seconds']:.1f}", _level_text(voice["level_dbfs"]))
        for voice in outcome["voices"]
    ]
    if outcome["picture"]:
        rows.append((outcome["picture"], "", ""))
    print_table(("file", "seconds", "level"), rows, right="seconds level")
    for warning in outcome["warnings"]:
        warn(f"{outcome['mixture']}: {warning}")
    say(
        f"\n{outcome['mixture']}: {duration_text(outcome['seconds'])} of audio took "
        f"{duration_text(outcome['elapsed_s'])} (real-time factor "
        f"{outcome['real_time_factor']:.3f}) with {outcome['model']} on {outcome['engine']} "
        f"{outcome['precision']}.\nEverything is in {outcome['folder']}\n"
    )


def _level_text(level: float | None) -> str:
    return "silent" if level is None else f"{level:.1f} dBFS"


def _failure(job: Job, error: Exception) -> dict[str, str]:
    message, hint = explain(error)
    return {"mixture": str(job.mixture), "error": message, "hint": hint}


def _conclude(n_jobs: int, failed: Sequence[tuple[Job, Exception]]) -> int:
    if not failed:
        return 0
    if n_jobs == 1:
        return report(failed[0][1])
    say(f"{len(failed)} of {n_jobs} files failed:")
    for job, error in failed:
        say(f"  {job.mixture}: {explain(error)[0]}")
    return FAILED
