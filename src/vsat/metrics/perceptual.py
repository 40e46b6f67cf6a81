"""PESQ, the perceptual evaluation of speech quality, through the package of that name.

References:
    ITU-T P.862 (narrow band), P.862.2 (wide band).
"""

from math import ceil

import numpy as np
import soxr

from vsat.errors import AudioError
from vsat.metrics.decibels import at_peak_one
from vsat.metrics.extra import evaluate_extra

NARROW_HZ, WIDE_HZ = 8_000, 16_000  # rates at which the measure is defined
LOWEST = 1.0  # of a mean opinion score
# The package has room for 50 utterances, of 0.4 s at least with the pause before the next, and
# ends the process when there are more. The measure itself was made for 8 to 12 seconds.
MAX_S = 16.0
MAX_BELOW = 1e-4  # of energy, 40 dB: where the reference is that much quieter it does not speak


def pesq(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> float:
    """PESQ as a mean opinion score (MOS-LQO), from 1 to about 4.6.

    Wide band from 16 kHz up, narrow band below: a recording at another rate is first brought to
    16 kHz or 8 kHz. The two give different scores; compare only like with like. A recording of more
    than 16 s is cut into equal pieces: the score is the mean of those in which the reference
    speaks. Silence gives 1. The samples are expected to be finite.

    The package does not let other Python threads run meanwhile, so PESQ alone is no quicker on
    several threads.

    Shape:
        (samples,) both.

    Raises:
        AudioError: the rate is below 8 kHz, or no speech is found in the reference.
        MissingExtraError: the package pesq is not installed.
    """
    if sample_rate < NARROW_HZ:
        raise AudioError(
            f"PESQ is not defined at {sample_rate} Hz.",
            hint="Use recordings at 8000 Hz or more, or leave out pesq.",
        )
    rate = WIDE_HZ if sample_rate >= WIDE_HZ else NARROW_HZ
    signals = [_resampled(at_peak_one(one), sample_rate, rate) for one in (estimate, reference)]
    n_pieces = ceil(len(signals[0]) / (MAX_S * rate))
    ours, wanted = (np.array_split(one, n_pieces) for one in signals)
    energies = np.array([np.square(piece).mean() for piece in wanted])
    spoken = np.flatnonzero(energies > MAX_BELOW * energies.max())
    found = [_score(ours[index], wanted[index], rate) for index in spoken]
    scores = [score for score in found if score is not None]
    if not scores:
        raise AudioError(
            "PESQ finds no speech in a reference, or it is shorter than 0.25 s.",
            hint="Leave that recording out, or measure it without pesq.",
        )
    return float(np.mean(scores))


def _resampled(signal: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    return signal if from_rate == to_rate else np.asarray(soxr.resample(signal, from_rate, to_rate))


def _score(estimate: np.ndarray, reference: np.ndarray, rate: int) -> float | None:
    """PESQ of a short recording; None where the package finds nothing to go by."""
    with evaluate_extra("PESQ"):
        from pesq import BufferTooShortError, NoUtterancesError
        from pesq import pesq as mean_opinion_score
    if not estimate.any():
        return LOWEST
    mode = "wb" if rate == WIDE_HZ else "nb"
    try:
        # The package counts in single precision, in which a very low level comes to nothing.
        score = mean_opinion_score(rate, at_peak_one(reference), at_peak_one(estimate), mode)
    except (BufferTooShortError, NoUtterancesError):
        return None
    return float(score)
