"""A model on its way in: what can be registered, and what is known of it and from where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsat.convert.conversion import Fact
from vsat.errors import UsageError
from vsat.files import check_name, sha256_of

MEANINGLESS = {"pytorch_model", "model", "best_model", "checkpoint", "best", "last", "weights"}
MAX_DERIVED_ID = 80  # characters of an id that is made of a file's name
FROM_YOU = "you"


@dataclass(frozen=True)
class Wishes:
    """What the person says of a model; it goes before what its files say.

    Attributes:
        model_id: None for one that is made of the file's name.
        sample_rate: in Hz.
        licence: for example Apache-2.0.
        metadata: kept with the version.
    """

    model_id: str | None = None
    sample_rate: int | None = None
    licence: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """What can be registered: a bundle's folder or a bare graph, and what is known of it."""

    model_id: str
    place: Path
    digest: str | None  # of a bundle's content
    metadata: dict[str, Any]
    family: str
    sample_rate: Fact
    sources: Fact
    licence: Fact | None
    warnings: tuple[str, ...] = ()


def id_from(path: Path) -> str:
    """A model id made of the name of a file or folder, or of its folder's where that says nothing.

    >>> id_from(Path("ConvTasNet (best).pth")), id_from(Path("tiger-speech/model.safetensors"))
    ('ConvTasNet_best', 'tiger-speech')

    Raises:
        UsageError: no id can be made of it.
    """
    for part in (path, path.absolute().parent):
        stem = part.name if part.is_dir() else part.name.partition(".")[0]
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:MAX_DERIVED_ID]
        if name and name.lower() not in MEANINGLESS:
            return check_name(name)
    raise UsageError(f"The name of {path} makes no model id.", hint="Choose one with --as ID.")


def stated(found: Fact | None, said: object) -> Fact | None:
    """What the person says, or else what was found."""
    return Fact(said, FROM_YOU) if said is not None else found


def no_rate(family: str) -> UsageError:
    """The error that asks for the sample rate."""
    return UsageError(
        f"This {family} does not say its sample rate.",
        hint="Give it in Hz, for example --rate 8000; the model's card usually names it.",
    )


def origin_of(path: Path) -> dict[str, str]:
    """Where a version was made from, as its metadata keep it."""
    origin = {"path": str(path.absolute())}
    return {**origin, "sha256": sha256_of(path)} if path.is_file() else origin
