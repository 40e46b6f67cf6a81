"""`vsat evaluate` and `vsat compare`: versions judged on the person's own recordings."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, print_table, say, warn
from vsat.errors import UsageError

if TYPE_CHECKING:
    from vsat.evaluation import Comparison, Evaluation, ModelEvaluator, Pinned
    from vsat.evaluation.differences import Difference

on_option: Callable[[Any], Any] = click.option(
    "--on",
    multiple=True,
    metavar="NAME|FOLDER|FILE",
    help="A test set by its name, a folder of recordings, or recordings (as many as you like).",
)
measures_option: Callable[[Any], Any] = click.option(
    "--measures", metavar="NAMES", help="Separated by commas, such as si_sdri_db,estoi."
)
engine_option: Callable[[Any], Any] = click.option(
    "--engine", default="auto", show_default=True, help="openvino, onnxruntime or torch."
)
precision_option: Callable[[Any], Any] = click.option(
    "--precision", default="f32", show_default=True, help="f32, bf16, or auto as `separate` does."
)


@click.command(short_help="Score a version on recordings.")
@click.argument("model", metavar="ID[@VERSION]")
@click.argument("recordings", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@on_option
@measures_option
@engine_option
@precision_option
@json_option
@click.pass_obj
def evaluate(
    invocation: Invocation,
    /,
    model: str,
    recordings: tuple[Path, ...],
    on: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Score a version on a test set, or on recordings.

    References are found beside a recording (talk.s1.wav and talk.s2.wav of talk.wav) or in folders
    (mix/, s1/, s2/). Without them the measures are estimated, and their names say so. What was
    scored once is not computed again, and an evaluation that was interrupted goes on.
    """
    evaluator = _evaluator(invocation, options)
    test_set = _test_set(evaluator, on, recordings)
    with meter(f"Evaluating {model}") as progress:
        found = evaluator.evaluate(model, test_set, progress)
    for note in found.notes:
        warn(note)
    if as_json:
        print_json(_document(found))
        return
    print_table(
        ("measure", "mean", "median", "lowest", "of"), _summary(found), "mean median lowest"
    )
    say(f"{found.model} on {len(found.scores)} recordings, {_ran_with(found)}.")


@click.command(short_help="Find out which version is better on recordings.")
@click.argument("models", nargs=-1, metavar="ID[@VERSION] ID[@VERSION]...")
@on_option
@measures_option
@engine_option
@precision_option
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a page to look at and listen to, also without knowing which is which.",
)
@click.option(
    "--choices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Keep what a listener chose on that page, instead of comparing.",
)
@json_option
@click.pass_obj
def compare(
    invocation: Invocation,
    /,
    models: tuple[str, ...],
    on: tuple[str, ...],
    page: Path | None,
    choices: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Hold versions against the first one named, on the same recordings.

    The verdict is "better", "worse" or "can't tell", from the differences recording by recording.
    """
    if choices:
        _keep_choices(invocation, choices, as_json=as_json)
        return
    evaluator = _evaluator(invocation, options)
    names = [name for name in models if not _is_recording(name)]
    recordings = [Path(name) for name in models if _is_recording(name)]
    test_set = _test_set(evaluator, on, recordings)
    with meter("Comparing") as progress:
        found = evaluator.compare(names, test_set, progress)
    for note in dict.fromkeys(note for one in found.evaluations for note in one.notes):
        warn(note)
    if page:
        _write_page(page, found, evaluator)
    if as_json:
        print_json(_comparison_document(found, page))
        return
    _print_comparison(found)


def _evaluator(invocation: Invocation, options: dict[str, Any]) -> "ModelEvaluator":
    from vsat.evaluation import ModelEvaluator

    names = options.pop("measures")
    if names:
        options["measures"] = [name.strip() for name in names.split(",")]
    return ModelEvaluator(registry=invocation.registry(), **options)


def _is_recording(name: str) -> bool:
    """Whether an argument is a file: a shell puts all of `*.wav` there, not just the first."""
    return Path(name).is_file()


def _test_set(
    evaluator: "ModelEvaluator", on: Sequence[str], recordings: Sequence[Path]
) -> "Pinned":
    from vsat.evaluation.pinned import as_test_set, of_recordings

    files = [*recordings, *(Path(name) for name in on if _is_recording(name))]
    named = [name for name in on if not _is_recording(name)]
    if named and (files or len(named) > 1):
        raise UsageError(
            f"{', '.join(named)} and {len(files)} recordings can't be taken together.",
            hint="Name one test set, one folder, or recordings.",
        )
    if named:
        return as_test_set(evaluator.registry, named[0])
    if not files:
        raise UsageError(
            "There is nothing to evaluate on.",
            hint="Name recordings, or a test set or a folder with --on.",
        )
    return of_recordings(files)


def _ran_with(found: "Evaluation") -> str:
    return f"{found.setting.engine}, {found.setting.precision}"


def _summary(found: "Evaluation") -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for measure in _all_measures(found):
        values = {
            name: scores[measure] for name, scores in found.scores.items() if measure in scores
        }
        worst = min(values, key=lambda name: values[name])
        figures = (found.mean(measure), median(values.values()), values[worst])
        rows.append((_label(measure), *(f"{figure:.2f}" for figure in figures), worst))
    return rows


def _all_measures(found: "Evaluation") -> list[str]:
    return list(dict.fromkeys(key for scores in found.scores.values() for key in scores))


def _label(measure: str) -> str:
    """The measure's key; what is only estimated says so in words too."""
    return f"{measure} (estimated)" if measure.startswith("est_") else measure


def _document(found: "Evaluation") -> dict[str, Any]:
    return {
        "model": found.model,
        "digest": found.digest,
        **asdict(found.setting),
        "mean": {measure: found.mean(measure) for measure in _all_measures(found)},
        "scores": found.scores,
        "notes": list(found.notes),
    }


def _print_comparison(found: "Comparison") -> None:
    first, *others = found.evaluations
    rows: list[tuple[object, ...]] = []
    for measure in found.differences[0]:
        rows.append((_label(measure), first.model, f"{first.mean(measure):.2f}", "", ""))
        for one, differences in zip(others, found.differences, strict=True):
            its = differences[measure]
            interval = f"{its.mean:+.2f} ({its.low:+.2f} to {its.high:+.2f})"
            wins = f"{100 * its.win_rate:.0f} %"
            rows.append(("", one.model, f"{one.mean(measure):.2f}", interval, wins))
    header = ("measure", "version", "mean", "difference (95 % interval)", "wins")
    print_table(
        header, [[("" if cell is None else cell) for cell in row] for row in rows], "mean wins"
    )
    click.echo()
    for sentence in found.verdicts:
        click.echo(sentence)


def _comparison_document(found: "Comparison", page: Path | None) -> dict[str, Any]:
    return {
        "test_set": found.test_set.name,
        "test_set_digest": found.test_set.fingerprint,
        "measure": found.primary,
        "evaluations": [_document(one) for one in found.evaluations],
        "differences": [
            {measure: _difference(its) for measure, its in differences.items()}
            for differences in found.differences
        ],
        "verdicts": list(found.verdicts),
        "report": page and str(page),
    }


def _difference(found: "Difference") -> dict[str, Any]:
    return asdict(found) | {"verdict": found.verdict.value}


def _write_page(page: Path, found: "Comparison", evaluator: "ModelEvaluator") -> None:
    from vsat.evaluation.reporting import write_comparison

    with meter("Writing the report"):
        write_comparison(page, found, evaluator)
    say(f"Open {page} in a browser.")


def _keep_choices(invocation: Invocation, path: Path, *, as_json: bool) -> None:
    from vsat.evaluation.preferences import keep_choices

    kept = keep_choices(invocation.registry(), path)
    if as_json:
        print_json(asdict(kept))
        return
    share = (
        f"{100 * kept.share:.0f} % (95 % interval {100 * kept.low:.0f} to {100 * kept.high:.0f} %)"
    )
    click.echo(
        f"{kept.candidate} was preferred to {kept.baseline} in {share} of {kept.n_decided}"
        f" recordings, and no difference was heard in {kept.n_undecided}."
    )
