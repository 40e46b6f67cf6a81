"""The picture: what it measures, that it is whole or not there, and that its cost is bounded."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vsat import picture
from vsat.errors import AudioError, StorageError, VsatError
from vsat.picture import COLUMNS, ROWS, draw_spectrograms, spectrogram, time_label

RATE = 8_000


def tone(hz, seconds, *, rate=RATE, level=0.5):
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def saved(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT", format="WAV")
    return path


def row_of(hz, top_hz):
    """The row of a frequency, by the mel formula written out again."""
    return int(np.log(1 + hz / 700) / np.log(1 + top_hz / 700) * ROWS)


@pytest.mark.parametrize("hz", [300, 1_000, 3_100])
def test_a_tone_lies_in_the_row_of_its_frequency(tmp_path, hz):
    power = spectrogram(saved(tmp_path / "tone.wav", tone(hz, 2)), 2.0, 4_000)
    assert power.shape == (ROWS, COLUMNS)
    loudest = power[:, COLUMNS // 2].argmax()
    assert abs(loudest - row_of(hz, 4_000)) <= 3


@pytest.mark.parametrize("length_s", [3, 400])
def test_a_tone_lies_in_the_columns_of_its_time(tmp_path, length_s):
    samples = np.concatenate([np.zeros(length_s * RATE // 2), tone(700, length_s / 4)])
    power = spectrogram(saved(tmp_path / "late.wav", samples), float(length_s), 4_000)
    over_time = power.sum(axis=0)
    quarter = COLUMNS // 4
    inside = over_time[2 * quarter + 10 : 3 * quarter - 10]
    assert inside.min() > 1e6 * over_time[: 2 * quarter - 10].max()
    assert over_time[3 * quarter + 10 :].max() < 1e-12


def test_twice_the_amplitude_is_four_times_the_power(tmp_path):
    quiet = spectrogram(saved(tmp_path / "a.wav", tone(500, 1, level=0.2)), 1.0, 4_000)
    loud = spectrogram(saved(tmp_path / "b.wav", tone(500, 1, level=0.4)), 1.0, 4_000)
    np.testing.assert_allclose(loud, 4 * quiet, rtol=1e-4, atol=1e-10)


def test_a_sample_rate_changes_neither_place_nor_power(tmp_path):
    slow = spectrogram(saved(tmp_path / "a.wav", tone(500, 1)), 1.0, 4_000)
    fast = spectrogram(saved(tmp_path / "b.wav", tone(500, 1, rate=48_000), 48_000), 1.0, 4_000)
    row = row_of(500, 4_000)
    near = slice(row - 6, row + 7)
    np.testing.assert_allclose(fast[near, 50:-50], slow[near, 50:-50], rtol=0.05, atol=1e-5)


def test_channels_are_averaged(tmp_path):
    voice = tone(500, 1)
    cancelled = spectrogram(saved(tmp_path / "a.wav", np.stack([voice, -voice], 1)), 1.0, 4_000)
    assert cancelled.max() < 1e-12
    same = spectrogram(saved(tmp_path / "b.wav", np.stack([voice, voice], 1)), 1.0, 4_000)
    alone = spectrogram(saved(tmp_path / "c.wav", voice), 1.0, 4_000)
    np.testing.assert_allclose(same, alone, rtol=1e-5, atol=1e-12)


def test_long_and_short_reads_give_one_result(tmp_path, monkeypatch):
    noise = np.random.default_rng(1).normal(0, 0.1, 30 * RATE)
    path = saved(tmp_path / "noise.wav", noise)
    whole = spectrogram(path, 30.0, 4_000)
    monkeypatch.setattr(picture, "READ_SAMPLES", 777)
    np.testing.assert_allclose(spectrogram(path, 30.0, 4_000), whole, rtol=1e-9)


def test_the_picture_has_a_panel_for_the_mixture_and_each_voice(tmp_path):
    mixture = saved(tmp_path / "talk.wav", tone(300, 1) + tone(900, 1))
    voices = [saved(tmp_path / f"talk.voice{n}.wav", tone(300 * 3**n, 1)) for n in (0, 1)]
    for count in (0, 1, 2):
        draw_spectrograms(mixture, voices[:count], tmp_path / "talk.png")
        with Image.open(tmp_path / "talk.png") as image:
            assert image.format == "PNG"
            assert image.height > (count + 1) * ROWS
            pixels = np.asarray(image.convert("L"), np.int16)
        bright_rows = (pixels[:, 200:1200].mean(axis=1) > 100).sum()
        assert bright_rows > 0  # the tones, drawn across the whole time axis
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "talk.png",
        "talk.voice0.wav",
        "talk.voice1.wav",
        "talk.wav",
    ]


@pytest.mark.parametrize(
    "samples",
    [np.zeros(RATE), np.full(RATE, np.nan), np.full(RATE, np.inf), np.ones(1), np.zeros(20)],
    ids=["silence", "nan", "inf", "one sample", "shorter than a window"],
)
def test_odd_recordings_are_drawn_without_a_warning(tmp_path, samples):
    mixture = saved(tmp_path / "odd.wav", samples)
    draw_spectrograms(mixture, [mixture], tmp_path / "odd.png")
    with Image.open(tmp_path / "odd.png") as image:
        image.load()


def test_what_is_no_audio_is_refused_and_nothing_is_written(tmp_path):
    mixture = saved(tmp_path / "talk.wav", tone(300, 1))
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    for arguments in ((tmp_path / "bad.wav", [mixture]), (mixture, [tmp_path / "none.wav"])):
        with pytest.raises(AudioError):
            draw_spectrograms(*arguments, tmp_path / "out.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.wav", "talk.wav"]


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    mixture = saved(tmp_path / "talk.wav", tone(300, 1))
    with pytest.raises(StorageError):
        draw_spectrograms(mixture, [], tmp_path / "none" / "out.png")


def test_an_interrupted_picture_leaves_the_old_one(tmp_path, monkeypatch):
    mixture = saved(tmp_path / "talk.wav", tone(300, 1))
    (tmp_path / "out.png").write_bytes(b"old")

    def interrupted(self, file, **options):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_spectrograms(mixture, [], tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "talk.wav"]


def test_a_header_that_lies_about_the_length_is_no_crash(tmp_path):
    path = saved(tmp_path / "talk.wav", tone(300, 1))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    try:
        draw_spectrograms(path, [], tmp_path / "out.png")
    except VsatError:
        assert not (tmp_path / "out.png").exists()
    else:
        assert (tmp_path / "out.png").stat().st_size > 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of Linux")
def test_memory_does_not_grow_with_the_recording(tmp_path):
    def peak_kb(minutes):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            for _ in range(minutes):
                file.write(tone(440, 60))
        script = (
            "import resource, sys; from pathlib import Path; from vsat.picture import spectrogram;"
            f"spectrogram(Path(sys.argv[1]), {minutes * 60}.0, 4000);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", script, str(path)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert peak_kb(40) < peak_kb(4) + 20_000  # 40 minutes are 77 MB of float32


@given(st.floats(0.01, 100_000))
def test_the_time_axis_has_a_readable_number_of_marks(length_s):
    times = picture._times(length_s)
    assert times[0] == 0
    assert times[-1] <= length_s * (1 + 1e-6)
    assert len(times) <= 15
    if length_s >= 0.2:
        assert len(times) >= 3
    labels = [time_label(second, length_s) for second in times]
    assert len(set(labels)) == len(labels)
