"""How measures are shown: their names, units, and which way is better."""

from dataclasses import dataclass

ESTIMATED = "est_"  # what begins so was computed without references

_NAMES = {
    "si_sdr": "SI-SDR",
    "si_sdri": "SI-SDR improvement",
    "sdr": "SDR",
    "sdri": "SDR improvement",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq": "PESQ",
}
_UNITS = {"_db": "dB", "_s": "s", "_hz": "Hz"}
_LOWER_IS_BETTER = ("error", "cross_talk", "crosstalk", "leakage", "swap", "real_time_factor")


@dataclass(frozen=True)
class Measure:
    """How a measure is shown.

    Attributes:
        key: as in the scores.
        name: in words.
        unit: empty where it has none.
        decimals: digits after the point.
        higher_is_better: which way is better.
        estimated: whether it was computed without references.
    """

    key: str
    name: str
    unit: str
    decimals: int
    higher_is_better: bool
    estimated: bool


def describe(key: str) -> Measure:
    """How a measure of that key is shown; any key is good enough to have a name.

    >>> describe("si_sdri_db").name, describe("est_si_sdr_db").estimated
    ('SI-SDR improvement', True)
    >>> describe("est_mixture_error_db").name
    'Mixture error'
    """
    stem = key.removeprefix(ESTIMATED)
    suffix = next((suffix for suffix in _UNITS if stem.endswith(suffix)), "")
    stem = stem.removesuffix(suffix)
    return Measure(
        key=key,
        name=_NAMES.get(stem, stem.replace("_", " ").capitalize()),
        unit=_UNITS.get(suffix, ""),
        decimals=2 if suffix or stem == "pesq" else 3,
        higher_is_better=not any(word in stem for word in _LOWER_IS_BETTER),
        estimated=key.startswith(ESTIMATED),
    )
