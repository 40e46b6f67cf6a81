"""Measures of a separation that has no references, and the estimate of its SI-SDR from them."""

import numpy as np

from vsat.errors import AudioError, UsageError
from vsat.estimation.estimator import packaged_estimator
from vsat.estimation.frames import power_db
from vsat.estimation.outputs import (
    coherence,
    crosstalk_db,
    decorrelation_db,
    level_ratio_db,
    mixture_consistency_db,
    noise_floor_db,
    scaled_to,
)
from vsat.estimation.reseparation import (
    Separate,
    consistency,
    separated_again,
    shifted_apart,
)

MIN_LENGTH_S = 1.0  # a second separation of less has too little to know a voice by
MAX_LENGTH_S = 60.0  # of a longer recording, the stretch in which the voices overlap most is taken
SILENT_DB = -100.0  # dBFS RMS; below that there is nothing to measure
ONE_VOICE_DB = 20.0  # an estimate so far below the loudest holds no voice of its own
ALONE_WORTH = 1e-6  # of energy, where one estimate is silent all along: any voice beats silence
FITTED_SOURCES = 2  # of the models that the estimator was fitted to


def estimate(
    separate: Separate, mixture: np.ndarray, estimates: np.ndarray, sample_rate: int
) -> dict[str, float]:
    """Measure a separation without references; runs the model once more.

    Of a recording over a minute, that minute is measured in which the faintest voice is loudest.

    A key is left out where its measure has no meaning: all of them for a silent recording; all but
    the two that say so for one of less than a second, or where all but one of the estimates are 20
    dB below the loudest, which is how a model says that it heard one voice; `est_si_sdr_db` where
    there are not two estimates, as it was fitted to models of two voices.

    Args:
        separate: the model: a mixture (samples,) to estimates (sources, samples), at this rate.
        mixture: floating point, nominally within [-1, 1].
        estimates: what the model gave for it.
        sample_rate: of all, in Hz. The estimate was fitted at 16 kHz.

    Returns:
        est_si_sdr_db: estimated SI-SDR in dB, mean over the sources; typically 1.5 dB off.
        est_self_consistency_db: SI-SDR in dB of what comes of mixing the estimates anew, shifted in
            time, and separating that, against what went in; mean over sources, in [-30, 50].
        est_weakest_self_consistency_db: the same of the source for which it is lowest.
        est_window_consistency_db: the same in windows of half a second in which a voice is active.
        est_swap_share: windows of all that would need another order of outputs, in [0, 1].
        est_decorrelation_db: power of an estimate over what it shares with others, mean, in dB.
        est_weakest_decorrelation_db: the same of the source for which it is lowest.
        est_coherence: how much estimates go together in time and frequency, in [-1, 1].
        est_crosstalk_db: level in dB of an estimate over a voice that speaks while it is silent.
        est_noise_floor_db: quietest tenth of the mixture's frames over the mean, by bin, in dB.
        est_mixture_consistency_db: power of the mixture over what the estimates leave of it, in dB.
        est_level_ratio_db: loudest estimate over the faintest, in dB.

    Shape:
        mixture: (samples,); estimates: (sources, samples).

    Raises:
        UsageError: the shapes don't fit each other, or there are less than two estimates.
        AudioError: something is not finite.

    References:
        Estimating SI-SDR without references: Frummer et al. 2025, "ReFESS-QI".
    """
    mixture, estimates = _checked(mixture, estimates)
    begin, end = _liveliest(estimates, round(MAX_LENGTH_S * sample_rate))
    mixture, estimates = mixture[begin:end], estimates[:, begin:end]
    if _level_db(mixture) < SILENT_DB:
        return {}
    scaled = scaled_to(mixture, estimates)
    measures = {
        "mixture_consistency_db": mixture_consistency_db(mixture, estimates),
        "level_ratio_db": level_ratio_db(scaled),
    }
    if len(mixture) >= MIN_LENGTH_S * sample_rate and _n_voices(scaled) > 1:
        again = separated_again(separate, shifted_apart(scaled))
        measures |= voice_measures(mixture, scaled, again, sample_rate)
        if len(estimates) == FITTED_SOURCES:
            measures["si_sdr_db"] = packaged_estimator()(measures)
    return {f"est_{name}": value for name, value in measures.items()}


def voice_measures(
    mixture: np.ndarray, estimates: np.ndarray, again: np.ndarray, sample_rate: int
) -> dict[str, float]:
    """What the estimator may be fitted to: the measures of estimates with a voice in each.

    Args:
        mixture: what was separated.
        estimates: scaled to add up to the mixture.
        again: what came of separating them again, `shifted_apart` and in their order.
        sample_rate: of all, in Hz.

    Shape:
        mixture: (samples,); estimates, again: (sources, samples).
    """
    found = consistency(again, shifted_apart(estimates), sample_rate)
    decorrelation = decorrelation_db(estimates)
    return {
        "self_consistency_db": float(np.mean(found.by_source_db)),
        "weakest_self_consistency_db": min(found.by_source_db),
        "window_consistency_db": found.by_window_db,
        "swap_share": found.swap_share,
        "decorrelation_db": float(decorrelation.mean()),
        "weakest_decorrelation_db": float(decorrelation.min()),
        "coherence": coherence(estimates, sample_rate),
        "crosstalk_db": crosstalk_db(estimates, sample_rate),
        "noise_floor_db": noise_floor_db(mixture, sample_rate),
    }


def _checked(mixture: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mixture, estimates = np.asarray(mixture, np.float64), np.asarray(estimates, np.float64)
    if mixture.ndim != 1 or estimates.ndim != 2 or estimates.shape[1] != len(mixture):
        raise UsageError(
            f"A mixture of the shape {mixture.shape} and estimates of the shape {estimates.shape}"
            " don't fit each other.",
            hint="Give (samples,) and (sources, samples).",
        )
    if len(estimates) < 2:
        raise UsageError(
            "One estimate alone can't be judged: there is nothing that it was separated from.",
            hint="Give all that the model gave.",
        )
    if not (np.isfinite(mixture).all() and np.isfinite(estimates).all()):
        raise AudioError(
            "Something in the mixture or in the estimates is no finite number.",
            hint="Replace what is not finite by 0.",
        )
    return mixture, estimates


def _liveliest(estimates: np.ndarray, length: int) -> tuple[int, int]:
    """Begin and end of the stretch of that length in which the faintest estimate is loudest."""
    n_samples = estimates.shape[1]
    if n_samples <= length:
        return 0, n_samples
    energy = np.cumsum(np.square(estimates), axis=1)  # (S, T)
    begins = np.arange(0, n_samples - length + 1, length // 4)
    held = energy[:, begins + length - 1] - energy[:, begins]  # (S, begins)
    worth = held.min(axis=0) + ALONE_WORTH * held.sum(axis=0)
    begin = int(begins[worth.argmax()])
    return begin, begin + length


def _n_voices(estimates: np.ndarray) -> int:
    levels = power_db(np.mean(np.square(estimates), axis=-1))  # (S,)
    return int(np.count_nonzero(levels > max(levels.max() - ONE_VOICE_DB, SILENT_DB)))


def _level_db(signal: np.ndarray) -> float:
    return float(power_db(np.mean(np.square(signal)))) if len(signal) else -np.inf
