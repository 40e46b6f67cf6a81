"""What signals have to be so that they can be measured.

What is wrong with the references is an error, because nothing can be judged by them. What is wrong
with the estimates is a result, and a bad one, unless they are no audio at all.
"""

import numpy as np

from vsat.errors import AudioError, UsageError


def checked_sources(signals: np.ndarray, name: str) -> np.ndarray:
    """Signals of several sources, as they are.

    Args:
        signals: floating point samples.
        name: what they are, for the errors: "references", or "mixture".

    Shape:
        (sources, samples), at least one of each.

    Raises:
        UsageError: they are not floating point, or not of two axes.
        AudioError: there are none, or a sample is NaN or infinite.
    """
    signals = np.asarray(signals)
    if signals.dtype.kind != "f":
        raise UsageError(
            f"The samples of the {name} are {signals.dtype}, not floating point numbers.",
            hint="For 16-bit samples: samples.astype('float32') / 32768.",
        )
    if signals.ndim != 2:
        raise UsageError(
            f"The shape of the {name} is {signals.shape}.", hint="Give (sources, samples)."
        )
    if not signals.size:
        raise AudioError(f"There are no samples in the {name}.", hint="Check where they come from.")
    if broken := _first(~np.isfinite(signals).all(axis=1), name):
        raise AudioError(
            f"{broken} holds samples that are NaN or infinite.", hint="Check what wrote it."
        )
    return signals


def check_lengths(references: np.ndarray, signals: np.ndarray, name: str) -> None:
    """Refuse signals of another length: which samples belong together is not for us to guess.

    Shape:
        (sources, samples) both.

    Raises:
        AudioError: the lengths differ.
    """
    wanted, given = references.shape[1], signals.shape[1]
    if wanted != given:
        raise AudioError(
            f"The length of the references is {wanted} samples, that of the {name} {given}.",
            hint="Cut or pad the recordings so that they begin and end together.",
        )


def check_audible(signals: np.ndarray, name: str) -> None:
    """Refuse silence where there has to be sound.

    Shape:
        (sources, samples).

    Raises:
        AudioError: one of them is zero throughout.
    """
    if silent := _first((signals == 0).all(axis=1), name):
        raise AudioError(
            f"{silent} is silent, so nothing can be measured by it.",
            hint="Leave it out, or choose a stretch in which it sounds.",
        )


def check_rate(sample_rate: int) -> None:
    """Refuse what is no sample rate.

    Raises:
        UsageError: it is not a positive whole number of Hz.
    """
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or sample_rate <= 0:
        raise UsageError(
            f"The sample rate {sample_rate!r} is not a positive whole number of Hz.",
            hint="Give it in Hz, for example 16000.",
        )


def _first(faulty: np.ndarray, name: str) -> str:
    """The first source of which something is so, as the subject of a sentence; or empty."""
    found = np.flatnonzero(faulty)
    if not len(found):
        return ""
    number = f" {found[0] + 1}" if len(faulty) > 1 else ""
    return f"The {name.removesuffix('s')}{number}"
