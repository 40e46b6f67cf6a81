"""Which precision a version runs in: bf16 only where it was seen to sound the same."""

from collections.abc import Callable

import numpy as np

from vsat.bundle import Bundle
from vsat.engines import available_engines, open_engine
from vsat.errors import UsageError

MIN_AGREEMENT_DB = 40.0  # signal over difference of bf16 to f32: far below what separation leaves
TEST_LENGTH_S = 2.0  # of the signal that the two are compared on


def choose_precision(engine: str, precision: str, measured: Callable[[], float]) -> str:
    """The precision to run in.

    Args:
        engine: as for `open_engine`.
        precision: "f32" and "bf16" stay as they are; "auto" decides.
        measured: gives the agreement of bf16 with f32 in dB; called only where bf16 is possible.
    """
    if precision != "auto":
        return precision
    if not _has_bf16(engine):
        return "f32"
    return "bf16" if measured() >= MIN_AGREEMENT_DB else "f32"


def _has_bf16(engine: str) -> bool:
    name = next(iter(available_engines()), "") if engine == "auto" else engine
    if name != "openvino":  # the only engine whose bf16 is quicker on a processor
        return False
    from vsat.engines.openvino import supports_bf16

    return supports_bf16()


def agreement_db(bundle: Bundle, threads: int | None = None) -> float:
    """How well bf16 agrees with f32 for this version on this machine: signal over difference.

    The signal is noise whose level rises and falls like speech, the same each time.

    Returns:
        dB of power, capped at 200; minus infinity becomes -200.
    """
    rate = bundle.manifest.sample_rate
    if rate is None:
        raise UsageError("A model that separates nothing has no precision.")
    mixture = _speech_like_noise(round(TEST_LENGTH_S * rate), rate)
    exact, rounded = (
        open_engine(bundle, "openvino", precision, threads).run(mixture[None])
        for precision in ("f32", "bf16")
    )
    difference = float(np.mean(np.square(exact - rounded, dtype=np.float64)))
    signal = float(np.mean(np.square(exact, dtype=np.float64)))
    return float(np.clip(10 * np.log10((signal + 1e-30) / (difference + 1e-30)), -200, 200))


def _speech_like_noise(samples: int, rate: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(samples)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / rate)  # 4 a second
    return np.asarray(0.05 * noise * syllables, np.float32)
