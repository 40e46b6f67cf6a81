"""A small catalogue of well-known separation models, which ships with vsat as data.

Each entry says what the model's own card says. What was not confirmed there is null.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from vsat.bundle import SAMPLE_RATES_HZ, SOURCES, strict_json
from vsat.errors import VsatError

FILE = Path(__file__).with_name("catalogue.json")
PREFIX = "hf:"  # of an address
NUMBER = (int, float)
KINDS: dict[str, tuple[type, ...]] = {  # of the fields; score is an object of its own
    "name": (str,),
    "address": (str,),
    "family": (str,),
    "sample_rate": (int,),
    "sources": (int,),
    "size_mb": (*NUMBER, type(None)),
    "licence": (str, type(None)),
    "score": (dict, type(None)),
    "reference": (str, type(None)),
}
SCORE_KINDS: dict[str, tuple[type, ...]] = {"db": NUMBER, "measure": (str,), "data": (str,)}


@dataclass(frozen=True)
class Score:
    """What a model's authors measured.

    Attributes:
        db: mean over the test set.
        measure: such as SI-SDRi; the field uses SI-SNRi for the same.
        data: the test set. Scores on different ones can't be compared.
    """

    db: float
    measure: str
    data: str


@dataclass(frozen=True)
class CatalogueEntry:
    """A published model.

    Attributes:
        name: for people.
        address: where to get it, `hf:ORG/NAME`.
        family: one of those that are converted.
        sample_rate: Hz.
        sources: how many voices it gives.
        size_mb: of its weights at that address, in megabytes.
        licence: of the weights, as the hub names it.
        score: as published.
        reference: the paper of its architecture.
    """

    name: str
    address: str
    family: str
    sample_rate: int
    sources: int
    size_mb: float | None
    licence: str | None
    score: Score | None
    reference: str | None


def search_catalogue(
    word: str = "",
    *,
    sample_rate: int | None = None,
    sources: int | None = None,
    licence: str | None = None,
) -> list[CatalogueEntry]:
    """Published models, the best published score first; those without one come last.

    Args:
        word: part of the name, address, family or test set; case and punctuation do not count, so
            that "conv-tasnet" finds ConvTasNet. Empty for all.
        sample_rate: in Hz, exactly.
        sources: exactly so many voices.
        licence: exactly, but for case.

    Raises:
        VsatError: the catalogue that ships with vsat is damaged.
    """
    found = [
        entry
        for entry in read_catalogue(FILE.read_bytes())
        if _folded(word) in _folded(_text(entry))
        and sample_rate in (None, entry.sample_rate)
        and sources in (None, entry.sources)
        and (licence is None or licence.casefold() == (entry.licence or "").casefold())
    ]
    return sorted(found, key=_rank)


def read_catalogue(content: bytes) -> list[CatalogueEntry]:
    """Read the catalogue, strictly.

    Raises:
        VsatError: it is not exactly what it must be.
    """
    try:
        document = strict_json(content)
    except ValueError as error:
        _refuse(str(error), error)
    if not isinstance(document, list):
        _refuse("is not a list")
    entries = [_entry(fields) for fields in document]
    if len({entry.address for entry in entries}) != len(entries):
        _refuse("has an address twice")
    return entries


def _entry(fields: Any) -> CatalogueEntry:
    _check(fields, KINDS)
    name, score = fields["name"], fields["score"]
    if not fields["address"].startswith(PREFIX):
        _refuse(f"has an address for {name} that is of no hub")
    for key, (least, most) in {"sample_rate": SAMPLE_RATES_HZ, "sources": SOURCES}.items():
        if not least <= fields[key] <= most:
            _refuse(f"has a {key} for {name} that can't be")
    if score is not None:
        _check(score, SCORE_KINDS)
    return CatalogueEntry(**{**fields, "score": score and Score(**score)})


def _check(fields: Any, kinds: dict[str, tuple[type, ...]]) -> None:
    if not isinstance(fields, dict) or fields.keys() != kinds.keys():
        _refuse(f"has an entry without exactly these fields: {', '.join(kinds)}")
    for key, kind in kinds.items():
        if type(fields[key]) not in kind or fields[key] == "":
            _refuse(f"has {fields[key]!r:.40} as {key}")


def _refuse(problem: str, cause: Exception | None = None) -> NoReturn:
    raise VsatError(
        f"The catalogue that ships with vsat {problem}.", hint="Install vsat again."
    ) from cause


def _rank(entry: CatalogueEntry) -> tuple[bool, float, str]:
    return entry.score is None, -entry.score.db if entry.score else 0, entry.name


def _text(entry: CatalogueEntry) -> str:
    data = entry.score.data if entry.score else ""
    return f"{entry.name} {entry.address} {entry.family} {data}"


def _folded(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
