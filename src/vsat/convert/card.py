"""What a published model's card says of it: licence, sample rate, number of voices.

A card is Markdown, often begun by a block of YAML for machines. The block is read with every scalar
as text and every tag ignored: nothing is constructed, and nothing runs. All of it are hints that
the model's own files go before.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vsat.bundle import SAMPLE_RATES_HZ, SOURCES
from vsat.convert.conversion import Fact
from vsat.convert.model_card import split_card
from vsat.errors import MissingExtraError

try:
    import yaml
except ImportError as error:
    raise MissingExtraError(
        "What reads a model's card is not installed.", hint="Run: pip install 'vsat[convert]'"
    ) from error

MAX_CARD_CHARACTERS = 256 << 10  # of a card that is looked at; published ones have a few thousand
MAX_BLOCK_CHARACTERS = 16 << 10  # of the block of YAML; nested brackets take time by the square
MAX_TAGS = 64
MAX_LICENCE_CHARACTERS = 100

_BLOCK, _TEXT = "the card's block of YAML", "the card's text"
_RATE_KEYS = ("sample_rate", "sampling_rate", "sr")
_SOURCES_KEYS = ("n_src", "num_spks", "num_speakers", "n_sources")
_SETTING = r"^[ \t]{0,16}(?:[-*][ \t])?%s[ \t]{0,4}[:=][ \t]{0,4}([0-9]{1,7})\b"
_NUMBER = re.compile("[0-9]{1,7}")
_KILOHERTZ = re.compile(r"\b(\d{1,3}(?:\.\d{1,3})?)[ \t-]?khz\b", re.IGNORECASE)
_MIX = re.compile(r"(?:libri|wsj0?-?|wham|whamr|spatialized-?)([2-5])-?mix", re.IGNORECASE)


@dataclass(frozen=True)
class CardFacts:
    """What a card says, each with where it says so; None where it doesn't.

    Attributes:
        licence: as the card names it, such as "cc-by-sa-4.0".
        sample_rate: Hz.
        sources: how many voices the model gives.
        library: what the model was made with, such as "asteroid".
        tags: what it is listed under.
    """

    licence: Fact | None = None
    sample_rate: Fact | None = None
    sources: Fact | None = None
    library: Fact | None = None
    tags: tuple[str, ...] = ()


def read_card(card: str) -> CardFacts:
    """Read a card; whatever can't be understood says nothing."""
    shown = card[:MAX_CARD_CHARACTERS].removeprefix("\ufeff").replace("\r\n", "\n")
    block, text = split_card(shown)
    said = _parsed(block)
    return CardFacts(
        licence=_licence(said),
        sample_rate=_rate(said, text),
        sources=_sources(said, text),
        library=_word(said, "library_name"),
        tags=tuple(_words(said.get("tags"))),
    )


def _parsed(block: str) -> dict[str, Any]:
    """The block's top level; empty where there is none or it isn't YAML."""
    if not block or len(block) > MAX_BLOCK_CHARACTERS:
        return {}
    try:
        found = yaml.load(block, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _licence(said: dict[str, Any]) -> Fact | None:
    for key in ("license", "licence", "licenses"):
        for name in _words(said.get(key)):
            if name.lower() == "other":
                return _word(said, "license_name") or Fact(name, f"{key} in {_BLOCK}")
            if len(name) <= MAX_LICENCE_CHARACTERS and name.isprintable():
                return Fact(name, f"{key} in {_BLOCK}")
    return None


def _rate(said: dict[str, Any], text: str) -> Fact | None:
    stated = _setting(said, text, _RATE_KEYS, SAMPLE_RATES_HZ)
    if stated:
        return stated
    rates = {round(float(match[1]) * 1000) for match in _KILOHERTZ.finditer(text)}
    if len(rates) == 1 and _is_within(rate := rates.pop(), SAMPLE_RATES_HZ):
        return Fact(rate, f"{rate / 1000:g} kHz in {_TEXT}")
    return None


def _sources(said: dict[str, Any], text: str) -> Fact | None:
    stated = _setting(said, text, _SOURCES_KEYS, SOURCES)
    if stated:
        return stated
    for key in ("datasets", "tags"):
        for word in _words(said.get(key)):
            if match := _MIX.search(word):
                return Fact(int(match[1]), f"{word} among the {key} in {_BLOCK}")
    return None


def _setting(
    said: dict[str, Any], text: str, keys: tuple[str, ...], limits: tuple[int, int]
) -> Fact | None:
    """A number that the block gives by one of the keys, or the text in a line of its own."""
    for key in keys:
        for word in _words(said.get(key)):
            if _NUMBER.fullmatch(word) and _is_within(int(word), limits):
                return Fact(int(word), f"{key} in {_BLOCK}")
    for key in keys:
        found = {int(number) for number in re.findall(_SETTING % key, text, re.MULTILINE)}
        if len(found) == 1 and _is_within(number := found.pop(), limits):
            return Fact(number, f"{key} in {_TEXT}")
    return None


def _is_within(number: int, limits: tuple[int, int]) -> bool:
    return limits[0] <= number <= limits[1]


def _word(said: dict[str, Any], key: str) -> Fact | None:
    for word in _words(said.get(key)):
        return Fact(word, f"{key} in {_BLOCK}")
    return None


def _words(value: object) -> Iterator[str]:
    """The text, or the texts of the list, that a key gives."""
    listed = value[:MAX_TAGS] if isinstance(value, list) else [value]
    for word in listed:
        if isinstance(word, str) and word.strip() and len(word) <= MAX_LICENCE_CHARACTERS:
            yield word.strip()
