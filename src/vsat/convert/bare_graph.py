"""A bare ONNX graph, which says little of itself; its card may say more."""

from pathlib import Path

from vsat.bundle import CARD_NAME
from vsat.convert.candidate import Candidate, Wishes, id_from, no_rate, origin_of, stated
from vsat.convert.card import CardFacts, read_card
from vsat.convert.conversion import Fact
from vsat.convert.reading import check_graph
from vsat.errors import ConversionError
from vsat.files import map_os_errors

FAMILY = "ONNX graph"


def describe_graph(path: Path, wishes: Wishes, staging: Path) -> Candidate:
    """Check a graph, and find out its sample rate and its number of voices.

    Raises:
        UnsafeFileError: it needs other files or operators, or is made to fill memory or time.
        ConversionError: it is no ONNX graph, or not a separator; the message says what it is.
        UsageError: the sample rate is neither stated nor given.
    """
    facts = check_graph(path, staging)
    if facts.has_channel_axis:
        raise ConversionError(
            f"{path} takes (batch, 1, samples), and vsat's engines give (batch, samples).",
            hint="Export it again with an input of two axes.",
        )
    card = _card_beside(path)
    sample_rate = stated(card.sample_rate, wishes.sample_rate)
    if sample_rate is None:
        raise no_rate(FAMILY)
    sources = Fact(facts.sources, "its output") if facts.sources else card.sources
    if sources is None:
        raise ConversionError(
            f"Nothing says how many voices {path} gives.",
            hint="Register it with `vsat register ID PATH --sources N --sample-rate HZ`.",
        )
    licence = stated(card.licence, wishes.licence)
    metadata = {"origin": origin_of(path), **wishes.metadata}
    metadata |= {"sample_rate": sample_rate.value, "sources": sources.value}
    if licence:
        metadata["licence"] = licence.value
    name = wishes.model_id or id_from(path)
    return Candidate(name, path, None, metadata, FAMILY, sample_rate, sources, licence)


def _card_beside(path: Path) -> CardFacts:
    card = path.parent / CARD_NAME
    if not card.is_file():
        return CardFacts()
    with map_os_errors(f"reading {card}"):
        return read_card(card.read_text(encoding="utf-8", errors="replace"))
