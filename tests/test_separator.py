"""The separator on toy models whose answers are known: arrays, files, and all that can be wrong."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import toys

import vsat
from vsat.errors import (
    AudioError,
    EngineError,
    MissingExtraError,
    ModelNotFoundError,
    StorageError,
    UsageError,
)


@pytest.fixture
def registry(tmp_path):
    return vsat.ModelRegistry(tmp_path / "home")


@pytest.fixture
def toy(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    return vsat.VoiceSeparator("toy", registry=registry)


def speech_like(seconds, rate, seed=0):
    random = np.random.default_rng(seed)
    samples = round(seconds * rate)
    swell = np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, 50), random.random(50))
    return (0.1 * swell * random.standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.001, 0.4, 11.9, 12.0, 12.1, 30.3])
def test_sources_are_joined_without_a_seam(toy, seconds):
    mixture = speech_like(seconds, 8_000)
    voices = toy.separate_voices(mixture)
    assert voices.shape == (2, len(mixture))
    assert voices.dtype == np.float32
    np.testing.assert_allclose(voices.sum(axis=0), mixture, atol=1e-5)
    kernel = np.abs(np.fft.rfft(voices, axis=1)) ** 2
    if seconds > 1:
        middle = kernel.shape[1] // 2
        assert kernel[0, :middle].sum() > 20 * kernel[0, middle:].sum()  # low stays on track 1


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 96_000])
def test_any_rate_comes_back_at_its_rate_and_length(toy, rate):
    times = np.arange(rate * 2) / rate
    mixture = (0.1 * np.sin(2 * np.pi * 300 * times)).astype(np.float32)
    voices = toy.separate_voices(mixture, sample_rate=rate)
    assert voices.shape == (2, len(mixture))
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(voices[0, inner], mixture[inner], atol=2e-3)


def test_scale_is_kept(toy):
    mixture = speech_like(3, 8_000)
    quiet = toy.separate_voices(mixture * 1e-3)
    np.testing.assert_allclose(quiet * 1e3, toy.separate_voices(mixture), atol=1e-5)


def test_channels_are_mixed_down(toy):
    left, right = speech_like(1, 8_000, 1), speech_like(1, 8_000, 2)
    stereo = toy.separate_voices(np.stack([left, right]))
    np.testing.assert_allclose(stereo, toy.separate_voices((left + right) / 2), atol=1e-6)


def test_silence_gives_silence(toy):
    voices = toy.separate_voices(np.zeros(100_000, np.float32))
    assert voices.shape == (2, 100_000)
    assert not voices.any()


def test_samples_that_are_no_numbers_count_as_silence_and_are_said(toy):
    mixture = speech_like(1, 8_000)
    broken = mixture.copy()
    broken[[10, 500, 501]] = np.nan, np.inf, -np.inf
    mixture[[10, 500, 501]] = 0
    with pytest.warns(UserWarning, match="3 samples"):
        voices = toy.separate_voices(broken)
    np.testing.assert_allclose(voices, toy.separate_voices(mixture), atol=1e-6)


@pytest.mark.parametrize(
    ("audio", "rate", "error", "message"),
    [
        (np.zeros(0, np.float32), None, AudioError, "no samples"),
        (np.zeros((2, 0), np.float32), None, AudioError, "no samples"),
        (np.zeros(9, np.int16), None, UsageError, "int16"),
        (np.zeros((1, 2, 3), np.float32), None, UsageError, "shape"),
        (np.zeros((800, 2), np.float32), None, UsageError, "channels"),
        (np.zeros(9, np.float32), 0, AudioError, "0 Hz"),
        (np.zeros(9, np.float32), 1, AudioError, "1 Hz"),
        (np.zeros(9, np.float32), -8_000, AudioError, "-8000 Hz"),
        (np.zeros(9, np.float32), 44_100.5, UsageError, "whole number"),
        (np.zeros(9, np.float32), float("nan"), UsageError, "whole number"),
    ],
)
def test_arrays_that_make_no_sense_are_refused(toy, audio, rate, error, message):
    with pytest.raises(error, match=message):
        toy.separate_voices(audio, rate)


def test_a_model_may_have_any_number_of_sources(registry, tmp_path):
    toys.register(registry, tmp_path, toys.scaled(0.5, 0.25, 0.125), "three")
    mixture = speech_like(20, 8_000)
    voices = vsat.VoiceSeparator("three@1", registry=registry).separate_voices(mixture)
    np.testing.assert_allclose(voices, np.outer([0.5, 0.25, 0.125], mixture), atol=1e-6)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_agree(registry, tmp_path, engine):
    pytest.importorskip(engine)
    toys.register(registry, tmp_path, toys.low_and_high())
    separator = vsat.VoiceSeparator("toy", registry=registry, engine=engine, threads=1)
    assert separator.engine == engine
    mixture = speech_like(2, 8_000)
    np.testing.assert_allclose(separator.separate_voices(mixture).sum(0), mixture, atol=1e-5)


def test_pytorch_refuses_a_bare_graph(registry, tmp_path):
    pytest.importorskip("torch")
    toys.register(registry, tmp_path, toys.low_and_high())
    with pytest.raises(EngineError, match="bare ONNX"):
        vsat.VoiceSeparator("toy", registry=registry, engine="torch")


@pytest.mark.parametrize(
    "choice", [{"engine": "abacus"}, {"precision": "f8"}, {"threads": 0}, {"threads": -1}]
)
def test_choices_that_do_not_exist_are_refused(toy, registry, choice):
    with pytest.raises(UsageError):
        vsat.VoiceSeparator("toy", registry=registry, **choice)


def test_an_engine_that_is_not_installed_is_named_with_its_extra(toy, registry, monkeypatch):
    monkeypatch.setattr("vsat.engines.find_spec", lambda name: None if name == "torch" else True)
    with pytest.raises(MissingExtraError, match=r"vsat\[tune\]"):
        vsat.VoiceSeparator("toy", registry=registry, engine="torch")


def test_an_unknown_model_says_what_exists(toy, registry):
    with pytest.raises(KeyError, match="toy"):
        vsat.VoiceSeparator("tyo", registry=registry)
    with pytest.raises(ModelNotFoundError, match="1"):
        vsat.VoiceSeparator("toy@7", registry=registry)


def test_a_model_of_another_task_can_not_separate(registry, tmp_path):
    (tmp_path / "notes.bin").write_bytes(b"anything")
    registry.register_model("notes", tmp_path / "notes.bin", {"task": "other"})
    with pytest.raises(UsageError, match="another task"):
        vsat.VoiceSeparator("notes", registry=registry)


def test_a_missing_bundle_is_an_error_with_a_hint(toy, registry):
    path = registry.get_model_path("toy")
    path.parent.chmod(0o700)
    path.unlink()
    with pytest.raises(vsat.BundleError):
        vsat.VoiceSeparator("toy", registry=registry)


# Files


def write(path, samples, rate=8_000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"subtype": "PCM_16"}),
        ("a.wav", {"subtype": "FLOAT"}),
        ("a.flac", {}),
        ("a.ogg", {}),
        ("a.mp3", {}),
        ("a.aiff", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_formats_of_libsndfile_are_read(toy, tmp_path, name, options):
    mixture = speech_like(13, 8_000)
    path = write(tmp_path / name, mixture, **options)
    decoded, _ = soundfile.read(path, dtype="float32")
    paths = toy.separate_file(path, tmp_path / "out")
    assert [path.name for path in paths] == ["a.voice1.wav", "a.voice2.wav"]
    voices = np.stack([soundfile.read(path, dtype="float32")[0] for path in paths])
    np.testing.assert_allclose(voices.sum(0), decoded, atol=1e-4)
    assert soundfile.info(paths[0]).subtype == "FLOAT"


def test_a_file_gives_what_its_array_gives(toy, tmp_path):
    mixture = np.stack([speech_like(40, 44_100, seed) for seed in (1, 2)])
    path = write(tmp_path / "stereo.wav", mixture.T, 44_100, subtype="FLOAT")
    paths = toy.separate_file(path, tmp_path / "out")
    voices = np.stack([soundfile.read(path, dtype="float32")[0] for path in paths])
    np.testing.assert_allclose(voices, toy.separate_voices(mixture, 44_100), atol=1e-5)


def test_thirty_two_channels_are_mixed_down(toy, tmp_path):
    mixture = np.tile(speech_like(2, 8_000)[:, None], (1, 32))
    path = write(tmp_path / "many.wav", mixture, subtype="FLOAT")
    voices = [soundfile.read(one)[0] for one in toy.separate_file(path, tmp_path)]
    np.testing.assert_allclose(np.sum(voices, axis=0), mixture[:, 0], atol=1e-4)


def test_the_result_says_what_was_done(toy, tmp_path):
    path = write(tmp_path / "a.wav", speech_like(2, 8_000))
    seen = []
    result = toy.separate(path, tmp_path / "out", progress=lambda *pair: seen.append(pair))
    assert result.model == "toy@1"
    assert (result.engine, result.precision, result.seconds) == ("openvino", "f32", 2.0)
    assert seen[-1] == (2.0, 2.0)
    assert result.real_time_factor > 0
    assert not result.warnings


def test_nan_in_a_file_is_silence_and_is_said(toy, tmp_path):
    mixture = speech_like(2, 8_000)
    mixture[5] = np.nan
    path = write(tmp_path / "nan.wav", mixture, subtype="FLOAT")
    result = toy.separate(path, tmp_path / "out")
    assert "1 samples were no numbers" in result.warnings[0]
    assert np.isfinite(soundfile.read(result.paths[0])[0]).all()


def test_a_header_that_promises_too_much_is_bounded_by_what_is_there(toy, tmp_path):
    mixture = speech_like(3, 8_000)
    path = write(tmp_path / "lying.wav", mixture, subtype="FLOAT")
    content = bytearray(path.read_bytes())
    position = content.index(b"data") + 4
    content[position : position + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    paths = toy.separate_file(path, tmp_path / "out")
    assert soundfile.info(paths[0]).frames == len(mixture)


def _no_audio(path):
    path.write_text("These are words, not sound. " * 50)


def _empty(path):
    path.touch()


def _no_samples(path):
    soundfile.write(path, np.zeros(0, np.float32), 8_000, format="WAV")


def _folder(path):
    path.mkdir()


def _slow(path):
    soundfile.write(path, np.zeros(100, np.float32), 1, format="WAV")


def _truncated_flac(path):
    soundfile.write(path, speech_like(5, 8_000), 8_000, format="FLAC")
    path.write_bytes(path.read_bytes()[:60])


def _rate_zero(path):
    soundfile.write(path, np.zeros(100, np.float32), 8_000, format="WAV", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[24:28] = bytes(4)
    path.write_bytes(content)


def _nothing(path):
    assert not path.exists()


@pytest.mark.parametrize(
    "make",
    [_no_audio, _empty, _no_samples, _folder, _slow, _truncated_flac, _rate_zero, _nothing],
)
def test_what_is_no_recording_is_refused_and_nothing_is_written(toy, tmp_path, make):
    path = tmp_path / "input"
    make(path)
    with pytest.raises(AudioError) as caught:
        toy.separate_file(path, tmp_path / "out")
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_a_file_is_refused(toy, tmp_path):
    path = write(tmp_path / "a.wav", speech_like(1, 8_000))
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError):
        toy.separate_file(path, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "in the way"


def test_the_recording_itself_is_never_overwritten(toy, tmp_path):
    path = write(tmp_path / "a.voice1.wav", speech_like(1, 8_000))
    twin = tmp_path / "a.wav"
    twin.hardlink_to(path)
    with pytest.raises(UsageError, match="overwritten"):
        toy.separate_file(twin, tmp_path)


def test_stopping_in_the_middle_leaves_nothing(toy, tmp_path):
    path = write(tmp_path / "a.wav", speech_like(40, 8_000))

    def stop(done, total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.separate_file(path, tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_result_that_was_there_stays_until_the_new_one_is_whole(toy, tmp_path):
    path = write(tmp_path / "a.wav", speech_like(40, 8_000))
    first = toy.separate_file(path, tmp_path / "out")
    before = first[0].read_bytes()

    def fail(done, total):
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        toy.separate_file(path, tmp_path / "out", progress=fail)
    assert first[0].read_bytes() == before
    assert len(list((tmp_path / "out").iterdir())) == 2


FULL_DISK = """
import resource, signal, sys, vsat
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails, as on a full disk
separator = vsat.VoiceSeparator("toy", registry=vsat.ModelRegistry(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    separator.separate_file(sys.argv[2], sys.argv[3])
except vsat.StorageError as error:
    print("refused:", error)
"""


def test_a_disk_that_fills_up_leaves_nothing_half_written(toy, registry, tmp_path):
    path = write(tmp_path / "a.wav", speech_like(40, 8_000))
    out = tmp_path / "out"
    registry.close()
    command = [sys.executable, "-c", FULL_DISK, registry.home, path, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("refused:"), done.stderr
    assert list(out.iterdir()) == []


MEMORY = """
import resource, sys, vsat
separator = vsat.VoiceSeparator("toy", registry=vsat.ModelRegistry(sys.argv[1]))
separator.separate_file(sys.argv[2], sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_recording(toy, registry, tmp_path):
    registry.close()
    peaks = []
    for minutes in (2, 40):
        path = tmp_path / f"{minutes}.wav"
        minute = speech_like(60, 8_000)
        with soundfile.SoundFile(path, "w", 8_000, 1, "FLOAT") as file:
            for _ in range(minutes):
                file.write(minute)
        command = [sys.executable, "-c", MEMORY, registry.home, path, tmp_path / "out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] * 1.1 + 8_000  # kB; 40 minutes alone are 75 MB
