"""Draws a mixture and its voices as spectrograms under one time axis.

Recordings of any length: of a long one, evenly spaced frames are read and the rest is skipped, so
neither memory nor the time for the transforms grows with it.

Levels are in dB of power against the loudest part of the mixture; what lies more than `RANGE_DB`
below it, silence too, is drawn as the background. NaN and infinities count as silence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw, ImageFont

from vsat.audio.io import open_recording
from vsat.errors import AudioError
from vsat.files import replace_atomically

COLUMNS = 1320  # pixels of the time axis
ROWS = 250  # pixels of one frequency axis
WINDOW_S = 0.032  # seconds; resolves the harmonics of a voice
HOP_S = 0.004  # seconds between the frames of a short recording
FRAMES_PER_COLUMN = 8  # at most; more of them no longer change a long recording's picture
READ_SAMPLES = 1 << 20  # held at once, of all channels together
TOP_HZ = 8_000  # little of a voice lies above
RANGE_DB = 70.0  # from the loudest to the background

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 92, 118, 30, 62  # pixels
TITLE_HEIGHT, GAP = 44, 22  # pixels above and below each panel
BACKGROUND = (13, 15, 22)
TEXT, FAINT_TEXT, LINE = (232, 234, 240), (139, 146, 163), (58, 64, 80)
VOICE_COLOURS = [(92, 205, 222), (250, 176, 82), (160, 214, 110), (206, 147, 232)]
COLOUR_ANCHORS = [  # (share of the range, colour): dark to light in even steps of lightness
    (0.00, BACKGROUND),
    (0.22, (30, 28, 74)),
    (0.42, (93, 38, 124)),
    (0.60, (183, 54, 111)),
    (0.77, (241, 105, 84)),
    (0.90, (253, 183, 110)),
    (1.00, (255, 250, 212)),
]
TICKS_HZ = (250, 500, 1_000, 2_000, 4_000, 8_000)
TIME_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)


@dataclass(frozen=True)
class _Panel:
    title: str
    detail: str
    colour: tuple[int, int, int]
    power: np.ndarray  # (rows, columns), the lowest frequency first


def draw_spectrograms(mixture: Path, voices: Sequence[Path], target: Path) -> None:
    """Draw the mixture and below it each voice, as a PNG.

    Args:
        mixture: a recording, of which the channels' mean is drawn.
        voices: what was separated from it, of any number.
        target: the picture; it is there whole or not at all.

    Raises:
        AudioError: a recording can't be read.
        StorageError: the picture can't be written.
    """
    recordings = [open_recording(path) for path in (mixture, *voices)]
    length_s = max(recording.seconds for recording in recordings[1:] or recordings)
    top_hz = min(TOP_HZ, recordings[0].sample_rate / 2)
    panels = []
    for index, recording in enumerate(recordings):
        title = f"voice {index}" if index else "mixture"
        colour = VOICE_COLOURS[(index - 1) % len(VOICE_COLOURS)] if index else TEXT
        power = spectrogram(recording.path, length_s, top_hz)
        panels.append(_Panel(title, recording.path.name, colour, power))
    image = _draw(panels, length_s, top_hz)
    with replace_atomically(target) as staged:
        image.save(staged, format="PNG")


def spectrogram(path: Path, length_s: float, top_hz: float) -> np.ndarray:
    """The power of a recording over time and frequency, on the scale of the picture.

    Args:
        path: a recording; beyond its end there is silence.
        length_s: seconds that the columns cover.
        top_hz: frequency of the last row.

    Shape:
        (ROWS, COLUMNS), float64: the lowest frequency first.

    Raises:
        AudioError: it can't be read.
    """
    with soundfile.SoundFile(path) as file:
        window = round(WINDOW_S * file.samplerate / 2) * 2
        per_column = length_s / COLUMNS / HOP_S
        n_frames = COLUMNS * int(np.clip(np.ceil(per_column), 1, FRAMES_PER_COLUMN))
        centres = (np.arange(n_frames) + 0.5) * (length_s * file.samplerate / n_frames)
        starts = np.round(centres).astype(np.int64) - window // 2
        bands = _bands(window, file.samplerate, top_hz)
        rows = np.empty((ROWS, n_frames))
        for first, frames in _frames(file, starts, window):
            spectra = np.fft.rfft(frames * np.hanning(window), axis=1)  # (F, bins)
            power = spectra.real**2 + spectra.imag**2
            rows[:, first : first + len(frames)] = bands @ power.T
    power = rows.reshape(ROWS, COLUMNS, -1).mean(axis=2)  # (rows, columns)
    return np.asarray(power / (window * window))


def _frames(
    file: soundfile.SoundFile, starts: np.ndarray, window: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut frames out of a recording, as many at once as `READ_SAMPLES` allows.

    Yields:
        (index of the first frame, frames (F, window)).
    """
    span = max(window, READ_SAMPLES // file.channels)
    first = 0
    while first < len(starts):
        beyond = int(np.searchsorted(starts, starts[first] + span - window, side="right"))
        last = min(max(first + 1, beyond), first + READ_SAMPLES // window)
        begin, end = int(starts[first]), int(starts[last - 1]) + window
        samples = _read(file, begin, end)
        offsets = starts[first:last] - begin
        yield first, np.lib.stride_tricks.sliding_window_view(samples, window)[offsets]
        first = last


def _read(file: soundfile.SoundFile, begin: int, end: int) -> np.ndarray:
    """Read the channels' mean from `begin` to `end`; silence where there is nothing."""
    samples = np.zeros(end - begin)
    at = max(0, begin)
    try:
        if at < min(end, file.frames):
            file.seek(at)
            block = file.read(end - at, dtype="float32", always_2d=True)  # (T, C)
            samples[at - begin : at - begin + len(block)] = block.mean(axis=1)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{file.name} is damaged: {error.error_string}") from error
    return np.nan_to_num(samples, posinf=0.0, neginf=0.0)


def _bands(window: int, sample_rate: int, top_hz: float) -> np.ndarray:
    """Weights of the transform's bins in each row: triangles, evenly spaced on the mel scale.

    Shape:
        (ROWS, bins); each row adds up to one where it lies below half the sample rate.
    """
    bins_hz = np.arange(window // 2 + 1) * sample_rate / window
    centres_hz = _hz((np.arange(ROWS) + 0.5) / ROWS * _mel(top_hz))
    spacing_hz = np.maximum(np.gradient(centres_hz), sample_rate / window)
    distance = np.abs(bins_hz - centres_hz[:, None]) / spacing_hz[:, None]  # (rows, bins)
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9))


def _mel(hz: float) -> float:
    return float(np.log1p(hz / 700))


def _hz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * np.expm1(mel))


def _draw(panels: Sequence[_Panel], length_s: float, top_hz: float) -> Image.Image:
    step = TITLE_HEIGHT + ROWS + GAP
    width = MARGIN_LEFT + COLUMNS + MARGIN_RIGHT
    height = MARGIN_TOP + step * len(panels) - GAP + MARGIN_BOTTOM
    image = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    reference = _loudest(panels)
    for index, panel in enumerate(panels):
        top = MARGIN_TOP + step * index + TITLE_HEIGHT
        level = 1 + _db(panel.power / reference) / RANGE_DB
        image.paste(_coloured(level), (MARGIN_LEFT, top))
        _draw_frame(draw, top, panel)
        _draw_frequencies(draw, top, top_hz)
        _draw_times(draw, top, length_s, labelled=index == len(panels) - 1)
    _draw_scale(image, draw, MARGIN_TOP + TITLE_HEIGHT)
    return image


def _loudest(panels: Sequence[_Panel]) -> float:
    """The power that is drawn brightest: of the mixture, but for a few clicks."""
    return max(float(np.quantile(panels[0].power, 0.9995)), 1e-12)


def _db(power: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def _coloured(level: np.ndarray) -> Image.Image:
    """Colour levels from 0 to 1, (rows, columns) with the lowest row first."""
    shares, colours = zip(*COLOUR_ANCHORS, strict=True)
    steps = np.round(np.clip(level[::-1], 0, 1) * 95) / 95  # few colours: a small file
    channels = [np.interp(steps, shares, channel) for channel in np.array(colours).T]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def _draw_frame(draw: ImageDraw.ImageDraw, top: int, panel: _Panel) -> None:
    left, right = MARGIN_LEFT, MARGIN_LEFT + COLUMNS
    draw.rectangle((left - 1, top - 1, right, top + ROWS), outline=LINE)
    middle = top - TITLE_HEIGHT // 2
    draw.rounded_rectangle((left, middle - 10, left + 5, middle + 10), 2, fill=panel.colour)
    draw.text((left + 18, middle), panel.title, panel.colour, _font(23), anchor="lm")
    name = "".join(c if c.isprintable() else "?" for c in panel.detail)  # no line breaks either
    detail = name if len(name) <= 90 else name[:87] + "..."
    draw.text((right, middle), detail, FAINT_TEXT, _font(18), anchor="rm")


def _draw_frequencies(draw: ImageDraw.ImageDraw, top: int, top_hz: float) -> None:
    for hz in TICKS_HZ:
        if hz <= top_hz:
            y = top + ROWS - round(ROWS * _mel(hz) / _mel(top_hz))
            draw.line((MARGIN_LEFT - 8, y, MARGIN_LEFT - 2, y), LINE)
            text = f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
            draw.text((MARGIN_LEFT - 14, y), text, FAINT_TEXT, _font(16), anchor="rm")


def _draw_times(draw: ImageDraw.ImageDraw, top: int, length_s: float, *, labelled: bool) -> None:
    bottom = top + ROWS
    for second in _times(length_s):
        x = MARGIN_LEFT + round(second / length_s * COLUMNS)
        draw.line((x, bottom + 1, x, bottom + (8 if labelled else 4)), LINE)
        if labelled:
            text = time_label(second, length_s)
            draw.text((x, bottom + 24), text, FAINT_TEXT, _font(16), anchor="mm")


def _times(length_s: float) -> list[float]:
    """Where the time axis is marked: about a dozen round times."""
    step = next((step for step in TIME_STEPS_S if length_s / step <= 14), TIME_STEPS_S[-1])
    return [index * step for index in range(int(length_s / step + 1e-9) + 1)]


def time_label(second: float, length_s: float) -> str:
    """Write a time as the axis of a recording of `length_s` seconds needs it.

    >>> time_label(0.2, 1), time_label(75, 90), time_label(3725, 7200)
    ('0.2 s', '1:15', '1:02:05')
    """
    if length_s < 60:
        return f"{second:g} s"
    whole = round(second)
    if length_s < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _draw_scale(image: Image.Image, draw: ImageDraw.ImageDraw, top: int) -> None:
    """Draw what each colour means, beside the first panel."""
    left = MARGIN_LEFT + COLUMNS + 24
    ramp = np.linspace(0, 1, ROWS)[:, None].repeat(14, axis=1)  # (rows, columns)
    image.paste(_coloured(ramp), (left, top))
    draw.rectangle((left - 1, top - 1, left + 14, top + ROWS), outline=LINE)
    for level_db in range(0, -int(RANGE_DB), -20):
        y = top + round(-level_db / RANGE_DB * (ROWS - 1))
        draw.text((left + 22, y), f"{level_db or 0} dB", FAINT_TEXT, _font(16), anchor="lm")


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
