"""Recordings of two tones, which a low-pass and a high-pass tell apart."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8_000  # Hz


def tone(hertz: float, seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A tone whose level goes up and down, as that of a voice does."""
    time = np.arange(round(seconds * rate)) / rate
    noise = 0.001 * np.random.default_rng(seed).standard_normal(len(time))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * (1.5 + seed % 3) * time)
    return (0.1 * swell * np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def save(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def save_talk(folder: Path, name: str = "talk", seed: int = 0, suffix: str = ".wav") -> Path:
    """A recording with its two voices beside it."""
    voices = [tone(150 + 10 * seed, seed=seed), tone(3_300 + 10 * seed, seed=seed + 1)]
    for number, voice in enumerate(voices, start=1):
        save(folder / f"{name}.s{number}{suffix}", voice)
    return save(folder / f"{name}{suffix}", sum(voices))
