"""The report's file: its audio, its size, what it refuses, and the choices that come back."""

import base64
import gc
import io
import json
import re
import weakref

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from vsat.errors import StorageError, UsageError
from vsat.report import (
    Choice,
    Comparison,
    Difference,
    Report,
    ReportFile,
    read_choices,
    wilson_interval,
    write_report,
)
from vsat.report.loudness import STAGES, loudness_lufs
from vsat.report.measures import describe
from vsat.report.page import LISTENED_FILES, embedded
from vsat.report.tracks import EXCERPT_S, audio_of

RATE = 8_000
VERSIONS = ("toy@1", "toy@2")


def noise(seconds, *, seed=0, rate=RATE, level=0.05):
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def recording(name="talk.wav", seconds=1.0, *, rate=RATE, versions=VERSIONS, references=True):
    voices = np.stack([noise(seconds, seed=seed, rate=rate) for seed in (1, 2)])
    mixture = voices.sum(axis=0)
    estimates = {
        label: (voices + 0.1 * number * mixture).astype(np.float32)
        for number, label in enumerate(versions)
    }
    return ReportFile(name, mixture, rate, estimates, voices if references else None)


def report(names=("talk.wav",), *, versions=VERSIONS, scores=None, comparisons=()):
    scores = scores or {
        name: {label: {"si_sdri_db": float(place)} for label in versions}
        for place, name in enumerate(names)
    }
    return Report("Which is better?", "calls", tuple(versions), scores, tuple(comparisons))


def block(page, key):
    (text,) = re.findall(rf'<script type="application/json" id="{key}">(.*?)</script>', page)
    return json.loads(text)


def samples_of(track):
    return soundfile.read(io.BytesIO(base64.b64decode(track["flac"])), dtype="float64")


# Loudness


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_tone_of_the_recommendation_has_its_loudness(rate):
    tone = np.sin(2 * np.pi * 997 * np.arange(2 * rate) / rate)
    assert loudness_lufs(tone, rate) == pytest.approx(-3.01, abs=0.02)
    assert loudness_lufs(0.1 * tone, rate) == pytest.approx(-23.01, abs=0.02)


def test_loudness_equals_that_of_the_filters_run_sample_by_sample():
    samples = noise(1.2, rate=48_000, level=0.1).astype(np.float64)
    filtered = samples
    for b, a in STAGES:
        before, after, result = [0.0, 0.0], [0.0, 0.0], []
        for x in filtered:
            y = b[0] * x + b[1] * before[0] + b[2] * before[1] - a[1] * after[0] - a[2] * after[1]
            before, after = [x, before[0]], [y, after[0]]
            result.append(y)
        filtered = np.array(result)
    expected = -0.691 + 10 * np.log10(np.mean(filtered**2))
    assert loudness_lufs(samples, 48_000) == pytest.approx(expected, abs=0.1)


def test_pauses_do_not_count_and_silence_is_not_loud():
    spoken = noise(4)
    with_pause = np.concatenate([spoken, np.zeros(12 * RATE)])
    assert loudness_lufs(with_pause, RATE) == pytest.approx(loudness_lufs(spoken, RATE), abs=0.3)
    assert loudness_lufs(np.zeros(RATE), RATE) == float("-inf")
    assert loudness_lufs(np.zeros(3), RATE) == float("-inf")


# Audio


def test_tracks_are_those_of_the_recording_sample_for_sample():
    file = recording()
    audio = audio_of(file, VERSIONS)
    order = [(track["signal"], track["voice"]) for track in audio["tracks"]]
    assert order == [
        ("mixture", 0), ("reference", 1), ("reference", 2), (0, 1), (0, 2), (1, 1), (1, 2),
    ]  # fmt: skip
    originals = [file.mixture, *file.references, *file.estimates["toy@1"], *file.estimates["toy@2"]]
    scale = samples_of(audio["tracks"][0])[0] @ file.mixture / (file.mixture @ file.mixture)
    for track, original in zip(audio["tracks"], originals, strict=True):
        samples, rate = samples_of(track)
        assert rate == audio["rate"] == RATE
        np.testing.assert_allclose(samples, scale * original, atol=1 / 32_000)


def test_gains_make_all_tracks_equally_loud_and_none_clips():
    file = recording()
    file.estimates["toy@2"][0] *= 4
    file.estimates["toy@2"][1] /= 3
    played, rate = [], RATE
    for track in audio_of(file, VERSIONS)["tracks"]:
        samples, rate = samples_of(track)
        played.append(samples * 10 ** (track["gainDb"] / 20))
    loudness = [loudness_lufs(samples, rate) for samples in played]
    assert max(loudness) - min(loudness) < 0.1
    assert max(np.abs(samples).max() for samples in played) <= 0.96


def test_a_voice_that_is_silent_is_not_blown_up():
    file = recording()
    file.estimates["toy@1"][0] = 0
    file.estimates["toy@1"][1] *= 1e-3
    gains = [track["gainDb"] for track in audio_of(file, VERSIONS)["tracks"]]
    assert gains[3] == 0
    assert gains[4] <= gains[0] + 20.01


def test_what_is_not_finite_is_silence():
    file = recording()
    file.estimates["toy@1"][0, 100:200] = np.nan
    file.estimates["toy@1"][1, 100:200] = np.inf
    tracks = audio_of(file, VERSIONS)["tracks"]
    assert not samples_of(tracks[3])[0][100:200].any()
    assert not samples_of(tracks[4])[0][100:200].any()


def test_silence_alone_can_be_shown():
    silent = np.zeros((2, RATE), np.float32)
    file = ReportFile("silence.wav", silent[0], RATE, dict.fromkeys(VERSIONS, silent), silent)
    assert {track["gainDb"] for track in audio_of(file, VERSIONS)["tracks"]} == {0.0}


def test_of_a_long_recording_the_excerpt_is_where_both_speak():
    voices = np.zeros((2, 60 * RATE), np.float32)
    voices[0, : 45 * RATE] = noise(45, seed=1)
    voices[1, 33 * RATE :] = noise(27, seed=2)
    estimates = dict.fromkeys(VERSIONS, voices)
    audio = audio_of(ReportFile("long.wav", voices.sum(axis=0), RATE, estimates, voices), VERSIONS)
    assert (audio["seconds"], audio["end"] - audio["begin"]) == (60, pytest.approx(EXCERPT_S))
    assert audio["begin"] >= 32.9
    assert audio["end"] <= 45.1


def test_without_references_the_excerpt_is_where_it_is_loudest():
    mixture = np.concatenate([noise(20, level=0.001), noise(10, level=0.1), noise(20, level=0.001)])
    estimates = dict.fromkeys(VERSIONS, np.stack([mixture, mixture]))
    audio = audio_of(ReportFile("long.wav", mixture, RATE, estimates), VERSIONS)
    assert audio["begin"] == pytest.approx(20, abs=0.1)
    assert all(track["signal"] != "reference" for track in audio["tracks"])


@pytest.mark.parametrize("rate", [6_000, 44_100])
def test_rates_that_browsers_refuse_or_voices_do_not_need_are_changed(rate):
    audio = audio_of(recording(rate=rate), VERSIONS)
    assert audio["rate"] == {6_000: 8_000, 44_100: 24_000}[rate]
    assert len(samples_of(audio["tracks"][0])[0]) == pytest.approx(audio["rate"], abs=2)


def test_ten_files_with_two_versions_are_at_most_fifteen_megabytes(tmp_path):
    """White noise at a high rate, of which FLAC saves nothing: no recording takes more."""
    names = [f"{number}.wav" for number in range(10)]
    noisy = recording(seconds=12, rate=24_000)
    files = (
        ReportFile(name, noisy.mixture, noisy.sample_rate, noisy.estimates, noisy.references)
        for name in names
    )
    path = write_report(tmp_path / "report.html", report(names), files)
    assert 8e6 < path.stat().st_size <= 15e6


# The page


def test_one_recording_is_in_memory_at_a_time(tmp_path):
    names, before = ["a.wav", "b.wav", "c.wav"], []

    class Files:
        def __init__(self):
            self.left = list(names)

        def __iter__(self):
            return self

        def __next__(self):
            gc.collect()
            assert all(reference() is None for reference in before)
            if not self.left:
                raise StopIteration
            file = recording(self.left.pop(0))
            before.append(weakref.ref(file))
            return file

    write_report(tmp_path / "report.html", report(names), Files())


def test_a_report_is_whole_or_not_there(tmp_path):
    def broken():
        yield recording("a.wav")
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="gone"):
        write_report(tmp_path / "report.html", report(["a.wav", "b.wav"]), broken())
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_written_is_said(tmp_path):
    with pytest.raises(StorageError):
        write_report(tmp_path / "nowhere" / "report.html", report(), [recording()])


@pytest.mark.parametrize(
    "files",
    [
        [recording("other.wav")],
        [recording(), recording()],
        [recording(versions=VERSIONS[:1])],
    ],
    ids=["unknown", "twice", "without a version"],
)
def test_files_that_do_not_fit_are_refused(tmp_path, files):
    with pytest.raises(UsageError):
        write_report(tmp_path / "report.html", report(), files)


@pytest.mark.parametrize("shape", [(2, 99), (100,), (2, 100, 1)])
def test_voices_of_another_length_than_the_mixture_are_refused(shape):
    with pytest.raises(UsageError, match=r"estimates|toy@1"):
        ReportFile("a.wav", np.zeros(100), RATE, {"toy@1": np.zeros(shape)})


def test_versions_that_are_not_named_are_refused():
    with pytest.raises(UsageError, match="toy@3"):
        report(versions=VERSIONS, scores={"a.wav": {"toy@3": {"stoi": 1.0}}})
    with pytest.raises(UsageError, match="twice"):
        report(versions=("toy@1", "toy@1"))


def test_files_without_audio_and_missing_scores_are_listed(tmp_path):
    scores = {
        "heard.wav": {"toy@1": {"si_sdri_db": 1.0, "stoi": float("nan")}, "toy@2": {}},
        "read.wav": {"toy@2": {"si_sdri_db": float("inf")}},
    }
    path = write_report(tmp_path / "r.html", report(scores=scores), [recording("heard.wav")])
    content = block(path.read_text(), "report")
    assert [file.get("block") for file in content["files"]] == ["audio-1", None]
    assert content["files"][0]["scores"] == [[1.0, None], [None, None]]
    assert content["files"][1]["scores"] == [[None, None], [None, None]]


def test_of_very_many_files_those_with_audio_spread_over_the_differences(tmp_path):
    names = [f"{number}.wav" for number in range(LISTENED_FILES + 30)]
    scores = {
        name: {"toy@1": {"stoi": 0.0}, "toy@2": {"stoi": float(place)}}
        for place, name in enumerate(names)
    }
    deciding = Comparison("toy@1", "toy@2", "stoi", "better", "Better.", ())
    files = (recording(name, 0.05) for name in names)
    whole = report(scores=scores, comparisons=[deciding])
    page = write_report(tmp_path / "report.html", whole, files).read_text()
    heard = [file["name"] for file in block(page, "report")["files"] if "block" in file]
    assert len(heard) == LISTENED_FILES
    assert {names[0], names[-1]} <= set(heard)
    places = [names.index(name) for name in heard]
    assert max(np.diff(places)) <= 3


def test_nothing_that_names_hold_can_end_a_block_or_be_markup(tmp_path):
    evil = '</script><script>alert(1)</script><!--<img src=x onerror="alert(1)">'
    whole = Report(evil, evil, (evil,), {evil: {evil: {evil: 1.0}}}, facts={evil: evil})
    path = write_report(tmp_path / "report.html", whole, [recording(evil, versions=(evil,))])
    page = path.read_text()
    scripts = re.findall(r"<script\b[^>]*>", page)
    assert len(scripts) == 3  # the audio, the report, the program
    assert "onerror=&quot;" in page  # of the title: the only text that is HTML
    assert 'onerror="' not in page
    assert block(page, "report")["files"][0]["name"] == evil


@given(st.text())
def test_embedded_json_means_what_it_meant(text):
    assert json.loads(embedded({"text": text})) == {"text": text}
    assert "<" not in embedded(text)
    assert embedded(text).isascii()


def test_the_page_names_no_address():
    from importlib import resources

    folder = resources.files("vsat.report") / "page"
    for file in folder.iterdir():
        found = set(re.findall(r"[a-z]+://[^\s\"']*", file.read_text()))
        assert found <= {"http://www.w3.org/2000/svg"}, file  # the name of a language


def test_measures_have_names_units_and_a_better_side():
    estimated = describe("est_si_sdr_db")
    assert (estimated.name, estimated.unit, estimated.estimated) == ("SI-SDR", "dB", True)
    assert not describe("stoi").estimated
    assert describe("stoi").decimals == 3
    assert not describe("est_cross_talk_db").higher_is_better
    assert describe("pesq").higher_is_better


def test_the_differences_go_through_without_numbers_that_json_lacks(tmp_path):
    lacking = Difference("stoi", 0.1, float("nan"), float("inf"), 1.0, 1)
    compared = Comparison("toy@1", "toy@2", "stoi", "can't tell", "Too few files.", (lacking,))
    path = write_report(tmp_path / "r.html", report(comparisons=[compared]), [recording()])
    (found,) = block(path.read_text(), "report")["comparisons"]
    assert found["differences"][0] == {
        "measure": "stoi", "mean": 0.1, "low": None, "high": None, "winRate": 1.0, "nFiles": 1,
    }  # fmt: skip


# Choices


def chosen(**changes):
    return {
        "format": "vsat-choices/1",
        "test_set": "calls",
        "test_set_digest": "",
        "versions": ["toy@1", "toy@2"],
        "choices": [
            {"file": "a.wav", "preferred": "toy@2"},
            {"file": "b.wav", "preferred": None},
        ],
        **changes,
    }


def saved(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_choices_are_read(tmp_path):
    choices = read_choices(saved(tmp_path / "choices.json", chosen()))
    assert choices.versions == ("toy@1", "toy@2")
    assert choices.choices == (Choice("a.wav", "toy@2"), Choice("b.wav", None))
    preference = choices.preference()
    assert (preference.share, preference.n_decided, preference.n_undecided) == (1.0, 1, 1)
    assert (preference.low, preference.high) == wilson_interval(1, 1)


@pytest.mark.parametrize(
    "value",
    [
        "not JSON",
        "[]",
        json.dumps(chosen())[:-1] + ', "format": "vsat-choices/1"}',
        chosen(format="vsat-choices/2"),
        chosen(more=1),
        {key: value for key, value in chosen().items() if key != "test_set"},
        chosen(test_set=7),
        chosen(versions=["toy@1"]),
        chosen(versions=["toy@1", "toy@1"]),
        chosen(versions="toy@1"),
        chosen(choices=[{"file": "a.wav", "preferred": "toy@3"}]),
        chosen(choices=[{"file": "a.wav", "preferred": ["toy@1"]}]),
        chosen(choices=[{"file": 1, "preferred": None}]),
        chosen(choices=[{"file": "a.wav"}]),
        chosen(choices=[{"file": "a.wav", "preferred": None}] * 2),
        chosen(choices={"a.wav": None}),
    ],
)
def test_choices_of_another_form_are_refused(tmp_path, value):
    with pytest.raises(UsageError, match=r"choices\.json") as caught:
        read_choices(saved(tmp_path / "choices.json", value))
    assert caught.value.hint


def test_choices_that_are_not_there_are_named(tmp_path):
    with pytest.raises(StorageError, match=r"choices\.json"):
        read_choices(tmp_path / "choices.json")


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_where_the_normal_test_would_reject(trial):
    """Its ends solve (share - p)^2 = z^2 p (1 - p) / n, a quadratic equation."""
    wins, n = trial
    share, squared = wins / n, 1.959963984540054**2 / n
    ends = np.sort(np.roots([1 + squared, -(2 * share + squared), share**2]).real)
    np.testing.assert_allclose(wilson_interval(wins, n), np.clip(ends, 0, 1), atol=1e-7)


def test_no_trial_says_nothing():
    assert wilson_interval(0, 0) == (0, 1)
