"""Known damage to the outputs of a model, so that there are models of qualities in between.

Each takes estimates and gives estimates, float32.

Shape:
    (sources, samples) to (sources, samples).
"""

import zlib
from collections.abc import Callable

import numpy as np

Harm = Callable[[np.ndarray], np.ndarray]
FRAME = 512  # samples in which `gated` decides
KEPT = 2 / 3  # of a recording, after which `exchanged` takes one voice for the other


def leaking(share: float) -> Harm:
    """Each output holds that share of the other."""

    def harm(estimates: np.ndarray) -> np.ndarray:
        return (1 - share) * estimates + share * estimates[::-1]

    return harm


def noisy(level_db: float) -> Harm:
    """Each output has white noise at that level over their sum; always the same for the same."""

    def harm(estimates: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(zlib.crc32(estimates.tobytes()))
        level = float(np.std(estimates.sum(axis=0))) * 10 ** (level_db / 20)
        return estimates + random.normal(0, level, estimates.shape).astype(np.float32)

    return harm


def gated(estimates: np.ndarray) -> np.ndarray:
    """Each cell of time and frequency goes to the louder output alone, as hard masks do."""
    padded = np.pad(estimates, ((0, 0), (0, -estimates.shape[1] % FRAME)))
    spectra = np.fft.rfft(padded.reshape(len(estimates), -1, FRAME))  # (S, frames, bins)
    loudest = np.abs(spectra) >= np.abs(spectra).max(axis=0)
    back = np.fft.irfft(spectra * loudest, n=FRAME).reshape(len(estimates), -1)  # (S, T)
    return back[:, : estimates.shape[1]].astype(np.float32)


def exchanged(estimates: np.ndarray) -> np.ndarray:
    """The outputs change places for the last third."""
    out = estimates.copy()
    begin = round(KEPT * estimates.shape[1])
    out[:, begin:] = estimates[::-1, begin:]
    return out


def passed_through(estimates: np.ndarray) -> np.ndarray:
    """The mixture at each output: a model that does nothing."""
    return np.repeat(estimates.mean(axis=0, keepdims=True), len(estimates), axis=0)


HARMS: dict[str, Harm] = {
    "leak05": leaking(0.05),
    "leak15": leaking(0.15),
    "leak30": leaking(0.30),
    "noise15": noisy(-15),
    "noise25": noisy(-25),
    "gated": gated,
    "exchanged": exchanged,
    "passed": passed_through,
}
