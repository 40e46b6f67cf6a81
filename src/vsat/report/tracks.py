"""The audio of a report: an excerpt of each recording, all its tracks exactly aligned, as FLAC.

FLAC because what is judged must be what was measured, in every browser: a lossy form's own error
is as large as what versions differ by (docs/decisions/0014). The price is size, which a limit for
each recording holds: its excerpt is made as short as that takes.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr

from vsat.report.contents import ReportFile
from vsat.report.loudness import loudness_lufs

EXCERPT_S = 10.0  # seconds; longer ones are harder to judge (Recommendation ITU-R BS.1534-3)
SHORTEST_EXCERPT_S = 2.0
FILE_BYTES = 1_050_000  # of one recording with two versions: ten of them make a page of 14 MB
LOWEST_RATE, HIGHEST_RATE = 8_000, 24_000  # Hz; browsers decode all between, voices have no more
STORED_LUFS = -36.0  # of the mixture: the 16 bits end 65 dB below it, and FLAC stays short
STORED_PEAK = 0.98  # at most, of any track
PLAYED_LUFS = -18.0  # of every track, or as near as the peaks allow
PLAYED_PEAK = 0.95
BOOST_LIMIT_DB = 20.0  # over the mixture's gain: a silent voice is not blown up to noise
FRAME_S = 0.05  # seconds; in which the overlap of voices is looked for


@dataclass(frozen=True)
class _Track:
    signal: str | int  # "mixture", "reference", or the place of a version among the versions
    voice: int  # 0 for the mixture, else from 1
    samples: np.ndarray  # (samples,)


def audio_of(file: ReportFile, versions: tuple[str, ...]) -> dict[str, Any]:
    """What the page needs to show and play one recording, as JSON values.

    Returns:
        name, length and excerpt in seconds, rate, and the tracks: signal, voice, gain in dB that
        makes them equally loud, and the FLAC in base64.
    """
    limit = FILE_BYTES * max(1.0, len(versions) / 2)
    seconds = len(file.mixture) / file.sample_rate
    length_s = min(EXCERPT_S, seconds)
    while True:
        begin = _begin_of_excerpt(file, length_s)
        end = min(len(file.mixture), begin + round(length_s * file.sample_rate))
        tracks, rate = _resampled(_tracks(file, versions, slice(begin, end)), file.sample_rate)
        encoded = _encoded(tracks, rate)
        size = sum(map(len, encoded))
        if size <= limit or length_s <= SHORTEST_EXCERPT_S:
            break
        length_s = max(SHORTEST_EXCERPT_S, 0.97 * length_s * limit / size)
    return {
        "seconds": seconds,
        "begin": begin / file.sample_rate,
        "end": end / file.sample_rate,
        "rate": rate,
        "tracks": [
            {
                "signal": track.signal,
                "voice": track.voice,
                "gainDb": round(gain, 2),
                "flac": base64.b64encode(content).decode("ascii"),
            }
            for track, gain, content in zip(
                tracks, matching_gains_db(tracks, rate), encoded, strict=True
            )
        ],
    }


def _tracks(file: ReportFile, versions: tuple[str, ...], part: slice) -> list[_Track]:
    found = [_Track("mixture", 0, file.mixture)]
    stacks: dict[str | int, np.ndarray | None] = {"reference": file.references}
    stacks |= {index: file.estimates[label] for index, label in enumerate(versions)}
    for signal, stack in stacks.items():
        if stack is not None:
            found += [_Track(signal, voice, one) for voice, one in enumerate(stack, start=1)]
    cut = [np.nan_to_num(one.samples[part], posinf=0.0, neginf=0.0) for one in found]
    return [_Track(one.signal, one.voice, part) for one, part in zip(found, cut, strict=True)]


def _begin_of_excerpt(file: ReportFile, length_s: float) -> int:
    """Where the voices overlap most, or, without references, where the mixture is loudest."""
    hop = max(1, round(FRAME_S * file.sample_rate))
    voices = file.mixture[None] if file.references is None else file.references
    n_frames = voices.shape[1] // hop
    n_kept = round(length_s * file.sample_rate / hop)
    if n_frames <= n_kept:
        return 0
    frames = np.nan_to_num(voices[:, : n_frames * hop]).reshape(len(voices), n_frames, hop)
    levels = np.sqrt(np.square(frames, dtype=np.float64).mean(axis=2))  # (S, frames)
    before = np.concatenate([[0.0], np.cumsum(levels.min(axis=0))])
    sums = before[n_kept:] - before[:-n_kept]
    return int(sums.argmax()) * hop


def _resampled(tracks: list[_Track], sample_rate: int) -> tuple[list[_Track], int]:
    rate = int(np.clip(sample_rate, LOWEST_RATE, HIGHEST_RATE))
    samples = [soxr.resample(one.samples.astype(np.float32), sample_rate, rate) for one in tracks]
    peak = max(float(np.abs(one).max(initial=0.0)) for one in samples)
    loudness = loudness_lufs(samples[0], rate)
    gain = 10 ** ((STORED_LUFS - loudness) / 20) if np.isfinite(loudness) else 1.0
    gain = min(gain, STORED_PEAK / max(peak, 1e-9))
    kept = zip(tracks, samples, strict=True)
    return [_Track(one.signal, one.voice, part * gain) for one, part in kept], rate


def _encoded(tracks: list[_Track], rate: int) -> list[bytes]:
    return [_flac(track.samples, rate) for track in tracks]


def _flac(samples: np.ndarray, rate: int) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return content.getvalue()


def matching_gains_db(tracks: list[_Track], rate: int) -> list[float]:
    """Gains that make all tracks equally loud; none of them clips."""
    loudness = [loudness_lufs(track.samples, rate) for track in tracks]
    peaks = [float(np.abs(track.samples).max(initial=1e-9)) for track in tracks]
    target = PLAYED_LUFS
    for lufs, peak in zip(loudness, peaks, strict=True):
        if np.isfinite(lufs):
            target = min(target, lufs + 20 * float(np.log10(PLAYED_PEAK / peak)))
    most = (target - loudness[0] if np.isfinite(loudness[0]) else 0.0) + BOOST_LIMIT_DB
    return [min(most, target - lufs) if np.isfinite(lufs) else 0.0 for lufs in loudness]
