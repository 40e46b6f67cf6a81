"""`vsat import`: models that people already have become versions."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.changing import because_option
from vsat.cli.failures import FAILED
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, print_table, say, size_text, warn
from vsat.errors import UsageError, VsatError

if TYPE_CHECKING:
    from vsat.bundle import Bundle
    from vsat.convert.conversion import Fact
    from vsat.convert.folder import Left
    from vsat.convert.importing import Imported
    from vsat.qualification import Figures, Qualification
    from vsat.registry import ModelRegistry

no_check_option: Callable[[Any], Any] = click.option(
    "--no-check", is_flag=True, help="Don't measure its speed, memory and agreement."
)


@click.command("import", short_help="Bring in models of other projects.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--as", "model_id", metavar="ID", help="The model's id; default: from the name.")
@click.option(
    "--rate", type=click.IntRange(min=1), metavar="HZ", help="Goes before the stated sample rate."
)
@click.option("--licence", help="Goes before the stated licence.")
@click.option(
    "--score",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Score it on recordings with their voices: talk.wav, talk.s1.wav, talk.s2.wav.",
)
@no_check_option
@click.option("--use", "make_current", is_flag=True, help="Make it the current version.")
@because_option
@json_option
@click.pass_obj
def import_(
    invocation: Invocation,
    /,
    path: Path,
    model_id: str | None,
    score: Path | None,
    no_check: bool,
    as_json: bool,
    **wishes: Any,
) -> int:
    """Bring in the model at PATH, or every model in the folder PATH.

    Known are checkpoints of Asteroid (Conv-TasNet, DPRNN, SuDoRM-RF), torchaudio's Conv-TasNet,
    SpeechBrain's SepFormer and RE-SepFormer, TIGER, self-contained ONNX graphs, and vsat's own
    bundles and .vsat archives. Nothing in a file is ever run to read it.

    Of a folder that is not itself one model, everything that is recognised comes in, and what is
    left is listed with the reason.
    """
    registry = invocation.registry()
    if path.is_dir() and not _is_one_model(path):
        if model_id or score or any(wishes.values()):
            raise UsageError(
                f"{path} is a folder of several models.",
                hint="Import it without options, or name one model in it.",
            )
        return _import_all(path, registry, no_check=no_check, as_json=as_json)
    if score:
        from vsat.evaluation.folder import find_examples

        find_examples(score)  # before anything is registered
    check = Check(registry, score, skipped=no_check)
    imported = _imported(path, registry, model_id, wishes, check)
    found = check.after(imported)
    if as_json:
        print_json(as_document(imported, found))
    else:
        show(imported, found)
    return 0


def as_document(imported: "Imported", found: "Qualification | None") -> dict[str, Any]:
    """What came in, and what was measured of it, for JSON."""
    return asdict(imported) | {"qualification": found and asdict(found)}


def show(imported: "Imported", found: "Qualification | None") -> None:
    """Print what came in, and what was measured of it."""
    click.echo(f"{imported.model_id}@{imported.version}")
    if not imported.is_new:
        say("It was there already.")
    for message in imported.warnings:
        warn(message)
    print_table(
        ("what", "value", "from"), [*_facts(imported), *(_measures(found) if found else [])]
    )


class Check:
    """Measures a model on its way in, which proves that it works; what fails is said.

    Args:
        registry: where it goes.
        recordings: a folder with recordings and references to score it on; None for none.
        skipped: whether nothing is to be measured.
    """

    def __init__(
        self, registry: "ModelRegistry", recordings: Path | None = None, *, skipped: bool = False
    ) -> None:
        self._registry, self._recordings, self._skipped = registry, recordings, skipped
        self._figures: Figures | None = None

    def before_registering(self, bundle: "Bundle") -> None:
        """Measure a bundle before it becomes a version; where that fails, the registry decides."""
        from vsat.qualification import measure

        self._figures = None
        if self._skipped:
            return
        with suppress(VsatError):
            self._figures = measure(bundle)
            self._registry.note_self_test(bundle)

    def after(self, imported: "Imported") -> "Qualification | None":
        """Keep what was measured of a version that came in, and score it."""
        from vsat.qualification import qualify

        if self._skipped:
            return None
        model = f"{imported.model_id}@{imported.version}"
        try:
            with meter(f"Measuring {model}"):
                return qualify(model, self._registry, self._recordings, self._figures)
        except VsatError as error:
            warn(f"{model} is registered, but could not be measured: {error}")
            return None


def _facts(imported: "Imported") -> list[tuple[str, object, str]]:
    def row(what: str, fact: "Fact | None", unit: str = "") -> tuple[str, object, str]:
        if fact is None:
            return what, None, "nothing says"
        return what, f"{fact.value}{unit}", fact.found_in

    return [
        ("family", imported.family, "its content"),
        row("sample rate", imported.sample_rate, " Hz"),
        row("voices", imported.sources),
        row("licence", imported.licence),
    ]


def _measures(found: "Qualification") -> list[tuple[str, object, str]]:
    agreement = None if found.agreement_db is None else f"{found.agreement_db:.0f} dB"
    scores = [
        (f"improvement of {name}", f"{value:.2f} dB", "SI-SDR, measured")
        for name, value in found.scores_db.items()
    ]
    return [
        ("real-time factor", f"{found.real_time_factor:.3f}", "measured here, f32"),
        ("peak memory", size_text(found.peak_memory_bytes), "measured here"),
        ("agreement with PyTorch", agreement, "measured here"),
        *scores,
    ]


def _is_one_model(folder: Path) -> bool:
    from vsat.convert.folder import is_model

    return is_model(folder)


def _imported(
    path: Path,
    registry: "ModelRegistry",
    model_id: str | None,
    wishes: dict[str, Any],
    check: Check,
) -> "Imported":
    from vsat.convert.importing import import_model

    with meter(f"Importing {path.name}"):
        imported: Imported = import_model(
            path,
            registry,
            model_id,
            sample_rate=wishes["rate"],
            licence=wishes["licence"],
            make_current=wishes["make_current"],
            because=wishes["because"],
            before_registering=check.before_registering,
        )
    return imported


def _import_all(folder: Path, registry: "ModelRegistry", *, no_check: bool, as_json: bool) -> int:
    from vsat.convert.folder import Left, import_folder

    def tell(one: "Imported | Left") -> None:
        if as_json:
            return
        if isinstance(one, Left):
            say(f"left {one.path}")
        else:
            say(f"{'came in' if one.is_new else 'was there'}: {one.model_id}@{one.version}")

    with meter("Importing"):
        came, left = import_folder(folder, registry, tell)
    found = [Check(registry, skipped=no_check).after(one) for one in came]
    if as_json:
        documents = [as_document(one, its) for one, its in zip(came, found, strict=True)]
        print_json({"imported": documents, "left": [asdict(one) for one in left]})
    else:
        _print_all(list(zip(came, found, strict=True)), left)
    return 0 if came or not left else FAILED


def _print_all(
    came: "Sequence[tuple[Imported, Qualification | None]]", left: "Sequence[Left]"
) -> None:
    if came:
        header = (
            "version",
            "family",
            "Hz",
            "voices",
            "licence",
            "real-time factor",
            "memory",
            "dB",
        )
        print_table(header, [_row(*one) for one in came], right="Hz voices RTF memory agreement")
    for one, _ in came:
        for message in one.warnings:
            warn(f"{one.model_id}@{one.version}: {message}")
    for other in left:
        click.echo(f"left  {other.path}: {other.reason}")
    if not (came or left):
        say("There is nothing that looks like a model.")


def _row(imported: "Imported", found: "Qualification | None") -> tuple[object, ...]:
    licence = imported.licence.value if imported.licence else None
    name = f"{imported.model_id}@{imported.version}"
    facts = (name, imported.family, imported.sample_rate.value, imported.sources.value, licence)
    if found is None:
        return (*facts, None, None, None)
    agreement = None if found.agreement_db is None else f"{found.agreement_db:.0f} dB"
    memory = size_text(found.peak_memory_bytes)
    return (*facts, f"{found.real_time_factor:.3f}", memory, agreement)
