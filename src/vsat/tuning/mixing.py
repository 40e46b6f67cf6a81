"""Dynamic mixing: every training example is made anew from single voices.

A mixture never heard before at each step is worth more than a larger fixed set (Zeghidour &
Grangier 2021, "Wavesplit", section 4.4). What varies: who speaks, level, speed, how much the voices
overlap, the room, the noise, and now and then there is only one voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import soxr
from scipy.signal import fftconvolve, lfilter

from vsat.tuning.material import PACK_RATE, Voice


@dataclass(frozen=True)
class MixingConfig:
    """How mixtures are drawn. Shares are probabilities in [0, 1].

    Attributes:
        segment_s: length of a mixture.
        level_db: each voice is within plus or minus this of the common level.
        speed: range of the speed (and pitch) factor of a voice.
        partial: share of mixtures in which the voices overlap only in part.
        single: share of mixtures with one voice; the second reference is then silence.
        reverberant: share of mixtures in a simulated room.
        noisy: share of mixtures with noise.
        snr_db: range of speech over noise.
        filtered: share of voices heard through a narrower channel, such as a telephone.
        corpus_weights: how often a corpus is drawn; an unnamed one has weight 1.
    """

    segment_s: float = 4.0
    level_db: float = 3.0
    speed: tuple[float, float] = (0.9, 1.1)
    partial: float = 0.25
    single: float = 0.05
    reverberant: float = 0.2
    noisy: float = 0.25
    snr_db: tuple[float, float] = (3.0, 20.0)
    filtered: float = 0.1
    corpus_weights: dict[str, float] = field(default_factory=dict)


LEVEL_DBFS = -25.0  # RMS of a voice at level 0: what recordings of speech usually have
MIN_SPEED_STEP = 0.01  # a smaller change of speed is not worth a resampling


class Mixer:
    """Draws mixtures of two voices from a set of speakers.

    Args:
        voices: at least two speakers.
        config: how mixtures are drawn.
        rooms: impulse responses, each (positions, samples) at `PACK_RATE`; may be empty.
        seed: the same seed gives the same sequence of mixtures.
    """

    def __init__(
        self,
        voices: Sequence[Voice],
        config: MixingConfig,
        rooms: Sequence[np.ndarray] = (),
        seed: int | Sequence[int] = 0,
    ) -> None:
        self.config = config
        self.length = round(config.segment_s * PACK_RATE)
        self._voices = voices
        self._rooms = rooms
        self._random = np.random.default_rng(seed)
        self._shares = _speaker_shares(voices, config.corpus_weights)

    def batch(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw `size` mixtures.

        Returns:
            Mixtures and references, float32.

        Shape:
            (batch, samples) and (batch, sources, samples).
        """
        pairs = [self.draw() for _ in range(size)]
        return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw one mixture (samples,) and its references (2, samples), float32."""
        random, config = self._random, self.config
        speakers = random.choice(len(self._voices), size=2, replace=False, p=self._shares)
        references = np.stack([self._segment(self._voices[one]) for one in speakers])  # (2, T)
        kind = random.random()
        if kind < config.single:
            references[1] = 0
        elif kind < config.single + config.partial:
            self._part(references)
        if self._rooms and random.random() < config.reverberant:
            references = self._in_room(references)
        if random.random() < config.filtered:
            references = self._through_channel(references)
        levels = LEVEL_DBFS + random.uniform(-config.level_db, config.level_db, size=2)
        references = np.stack([_at_level(r, db) for r, db in zip(references, levels, strict=True)])
        mixture = references.sum(axis=0)  # (T,)
        if random.random() < config.noisy:
            mixture = mixture + self._noise(mixture)
        gain = 10 ** (random.uniform(-8, 4) / 20) * min(1.0, 0.9 / (np.abs(mixture).max() + 1e-9))
        return (mixture * gain).astype(np.float32), (references * gain).astype(np.float32)

    def _segment(self, voice: Voice) -> np.ndarray:
        """A stretch of one voice, at a random speed, as long as a mixture; padded if short."""
        random = self._random
        utterance = voice.utterances[random.integers(len(voice.utterances))]
        speed = random.uniform(*self.config.speed)
        if abs(speed - 1) < MIN_SPEED_STEP:
            speed = 1.0
        wanted = int(self.length * speed) + 1
        out = np.zeros(self.length, np.float32)
        spare = len(utterance) - wanted
        begin = int(random.integers(spare + 1)) if spare > 0 else 0
        cut = utterance[begin : begin + wanted].astype(np.float32) / 32768
        if speed != 1.0:
            cut = soxr.resample(cut, PACK_RATE * speed, PACK_RATE, quality="LQ")
        cut = cut[: self.length]
        shift = int(random.integers(self.length - len(cut) + 1))
        out[shift : shift + len(cut)] = cut
        return out

    def _part(self, references: np.ndarray) -> None:
        """Let one voice end early and the other begin late, in place."""
        overlap = self._random.uniform(0.1, 0.8)
        centre = self._random.uniform(0.35, 0.65)
        start = max(0, round(self.length * (centre - overlap / 2)))
        end = min(self.length, round(self.length * (centre + overlap / 2)))
        references[0, end:] = 0
        references[1, :start] = 0

    def _in_room(self, references: np.ndarray) -> np.ndarray:
        room = self._rooms[int(self._random.integers(len(self._rooms)))]  # (positions, taps)
        places = self._random.choice(len(room), size=len(references), replace=False)
        wet = [fftconvolve(r, room[p]) for r, p in zip(references, places, strict=True)]
        return np.stack([w[: self.length] for w in wet]).astype(np.float32)

    def _through_channel(self, references: np.ndarray) -> np.ndarray:
        """Keep a band, as telephones and laptop microphones do; the same for both voices."""
        low = self._random.uniform(80, 400)
        high = self._random.uniform(3_200, 7_000)
        spectrum = np.fft.rfft(references, axis=-1)
        frequency = np.fft.rfftfreq(self.length, 1 / PACK_RATE)
        with np.errstate(divide="ignore"):
            response = 1 / np.sqrt(1 + (low / np.maximum(frequency, 1e-3)) ** 6)
        response /= np.sqrt(1 + (frequency / high) ** 12)
        return np.fft.irfft(spectrum * response, n=self.length, axis=-1).astype(np.float32)

    def _noise(self, mixture: np.ndarray) -> np.ndarray:
        """Coloured, slowly swelling noise, or the babble of several voices."""
        random = self._random
        if random.random() < 0.3:
            noise = sum(
                _at_level(self._segment(self._voices[one]), LEVEL_DBFS)
                for one in random.choice(len(self._voices), size=6, p=self._shares)
            )
        else:
            white = random.standard_normal(self.length)
            noise = lfilter([1.0], [1.0, -random.uniform(-0.3, 0.98)], white)
            if random.random() < 0.5:  # a resonance: fans, water, engines
                angle = 2 * np.pi * random.uniform(80, 5_000) / PACK_RATE
                radius = random.uniform(0.9, 0.995)
                noise = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], noise)
            times = np.linspace(0, 1, 8)
            swell = np.interp(
                np.linspace(0, 1, self.length), times, 10 ** (random.uniform(-6, 6, 8) / 20)
            )
            noise = noise * swell
        ratio = np.sqrt(np.mean(mixture**2) / (np.mean(np.square(noise)) + 1e-12))
        snr_db = random.uniform(*self.config.snr_db)
        return np.asarray(noise * ratio * 10 ** (-snr_db / 20), np.float32)


def _speaker_shares(voices: Sequence[Voice], weights: dict[str, float]) -> np.ndarray:
    """How often each speaker is drawn: by corpus, then by the root of what there is of him."""
    root = np.array([np.sqrt(voice.seconds) for voice in voices])
    shares = np.zeros(len(voices))
    for corpus in {voice.corpus for voice in voices}:
        members = np.array([voice.corpus == corpus for voice in voices])
        shares[members] = weights.get(corpus, 1.0) * root[members] / root[members].sum()
    return shares / shares.sum()


def _at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """The samples at that RMS level in dBFS; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples))))
    if rms < 1e-6:
        return samples
    return samples * np.float32(10 ** (level_db / 20) / rms)
