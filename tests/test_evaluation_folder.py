"""Which recordings are found in a folder, and what becomes of references that don't quite fit."""

import numpy as np
import pytest
from recordings import RATE, save, save_talk, tone

from vsat.errors import AudioError, UsageError
from vsat.evaluation.example import Example, load
from vsat.evaluation.folder import find_examples, find_voices, given_examples


def names(examples):
    return [(example.name, [path.name for path in example.references]) for example in examples]


def test_voices_are_found_beside_a_recording(tmp_path):
    for name in ("b", "a"):
        save_talk(tmp_path, name)
    save(tmp_path / "alone.wav", tone(200))
    save(tmp_path / "not.s1.wav", tone(200))  # there is no not.wav
    (tmp_path / "notes.txt").write_text("no audio")
    assert names(find_examples(tmp_path)) == [
        ("a", ["a.s1.wav", "a.s2.wav"]),
        ("alone", []),
        ("b", ["b.s1.wav", "b.s2.wav"]),
        ("not.s1", []),
    ]


@pytest.mark.parametrize("mixtures", ["mix", "mix_clean", "mix_both"])
def test_the_folders_of_corpora_are_known(tmp_path, mixtures):
    for name in ("61-70968", "61-70970"):
        for folder in (mixtures, "s1", "s2", "s3"):
            save(tmp_path / folder / f"{name}.wav", tone(300))
    found = find_examples(tmp_path)
    assert [example.name for example in found] == ["61-70968", "61-70970"]
    assert [path.parent.name for path in found[0].references] == ["s1", "s2", "s3"]
    given = given_examples([tmp_path / mixtures / "61-70970.wav"], None)
    assert given[0].references == found[1].references


def test_a_layout_that_is_unclear_is_said(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        find_examples(tmp_path / "gone")
    with pytest.raises(UsageError, match="no recordings"):
        find_examples(tmp_path)
    save(tmp_path / "s1" / "x.wav", tone(300))
    with pytest.raises(UsageError, match="mixtures: none"):
        find_examples(tmp_path)
    for folder in ("mix_clean", "mix_both"):
        save(tmp_path / folder / "x.wav", tone(300))
    with pytest.raises(UsageError, match="mix_clean/, mix_both/") as error:
        find_examples(tmp_path)
    assert error.value.hint


def test_a_voice_that_is_missing_is_named(tmp_path):
    save(tmp_path / "mix" / "x.wav", tone(300))
    save(tmp_path / "s1" / "x.flac", tone(300))
    (tmp_path / "s2").mkdir()
    with pytest.raises(UsageError, match=r"s2 has no voice of x\.wav"):
        find_examples(tmp_path)


def test_references_are_given_in_the_order_of_the_recordings(tmp_path):
    talk = save_talk(tmp_path)
    assert names(given_examples([talk], None)) == [(str(talk), ["talk.s1.wav", "talk.s2.wav"])]
    other = [tmp_path / "talk.s2.wav", tmp_path / "talk.s1.wav"]
    assert names(given_examples([talk], [other]))[0][1] == ["talk.s2.wav", "talk.s1.wav"]
    with pytest.raises(UsageError, match="don't fit"):
        given_examples([talk, talk], [other])
    with pytest.raises(UsageError, match="nothing to evaluate"):
        given_examples([], None)


def test_a_reference_of_another_rate_is_resampled_and_said(tmp_path):
    talk = save_talk(tmp_path)
    save(tmp_path / "talk.s1.wav", tone(150, rate=16_000), 16_000)
    audio = load(given_examples([talk], None)[0])
    assert audio.references.shape == (2, len(audio.mixture))
    assert audio.notes == ("talk.s1.wav was resampled from 16000 to 8000 Hz.",)
    assert np.abs(audio.references[0] - tone(150)).max() < 0.01


@pytest.mark.parametrize("surplus", [-200, 200])
def test_what_an_encoder_adds_is_cut_and_said(tmp_path, surplus):
    talk = save_talk(tmp_path)
    long = tone(150, 4)
    save(tmp_path / "talk.s1.wav", long[: 2 * RATE + surplus])
    audio = load(given_examples([talk], None)[0])
    assert audio.references.shape == (2, 2 * RATE)
    assert "brought to the length" in audio.notes[0]


@pytest.mark.parametrize("seconds", [1.5, 2.5])
def test_a_reference_of_another_length_is_refused(tmp_path, seconds):
    talk = save_talk(tmp_path)
    save(tmp_path / "talk.s2.wav", tone(150, seconds))
    with pytest.raises(AudioError, match=r"talk\.s2\.wav is 0\.50 s") as error:
        load(given_examples([talk], None)[0])
    assert error.value.hint


def speakers(folder, count=3):
    for number in range(count):
        for part in range(2):
            voice = tone(100 + 50 * number, 3 + part, seed=number)
            save(folder / f"speaker{number}" / f"{part}.wav", voice)
    return folder


def test_single_voices_are_mixed_by_seed_the_same_every_time(tmp_path):
    folder = speakers(tmp_path)
    once, again = find_voices(folder, 5, seed=1), find_voices(folder, 5, seed=1)
    assert once == again
    assert [one.digest() for one in once] == [one.digest() for one in again]
    assert find_voices(folder, 5, seed=2) != once
    for example in once:
        one, other = (part.path.parent for part in example.parts)
        assert one != other
        audio = load(example)
        assert np.allclose(audio.mixture, audio.references.sum(axis=0), atol=1e-6)
        assert np.abs(audio.mixture).max() <= 0.9
        levels = 20 * np.log10(np.sqrt(np.mean(np.square(audio.references), axis=1)))
        assert abs(levels[0] - levels[1]) <= 5.01


def test_files_alone_are_speakers_too(tmp_path):
    for number in range(2):
        save(tmp_path / f"{number}.flac", tone(200 + number, 3))
    (example,) = find_voices(tmp_path, 1, seed=0)
    assert {part.path.name for part in example.parts} == {"0.flac", "1.flac"}


def test_one_speaker_makes_no_mixture(tmp_path):
    with pytest.raises(UsageError, match="of 1 speakers"):
        find_voices(speakers(tmp_path, 1), 1, seed=0)


def test_a_voice_that_became_silent_is_said(tmp_path):
    speakers(tmp_path, 2)
    (example,) = find_voices(tmp_path, 1, seed=0)
    save(example.parts[0].path, np.zeros(3 * RATE))
    with pytest.raises(AudioError, match="is silent"):
        load(example)


def test_the_digest_is_of_what_is_heard(tmp_path):
    talk = save_talk(tmp_path / "one")
    other = save_talk(tmp_path / "two", "other")
    one, two = (given_examples([path], None)[0] for path in (talk, other))
    assert one.digest() == two.digest()  # the same sound under other names
    save(tmp_path / "two" / "other.s1.wav", tone(151))
    assert one.digest() != two.digest()
    assert one.digest() != Example("x", talk).digest()  # without its references
