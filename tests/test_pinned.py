"""Test sets stay what they are, and say when they don't."""

import pytest
from homes import Home
from recordings import save, save_talk, tone

from vsat.errors import AudioError, RegistryError, UsageError
from vsat.evaluation.pinned import all_pinned, changed, check_unchanged, pin, pinned


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        save_talk(tmp_path / "talks", f"talk{number}", seed=number)
    return tmp_path / "talks"


def test_a_test_set_comes_back_as_it_was_pinned(home, folder):
    seen = []
    made = pin(home.registry, "mine", folder, progress=lambda *of: seen.append(of))
    again = pinned(home.opened(), "mine")
    assert again == made
    assert again.has_references
    assert [example.name for example in again.examples] == ["talk0", "talk1", "talk2"]
    assert changed(again) == []
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [one.name for one in all_pinned(home.registry)] == ["mine"]


def test_mixed_voices_come_back_as_they_were_pinned(home, tmp_path):
    for number in range(3):
        save(tmp_path / "voices" / f"{number}.wav", tone(200 + 90 * number, 3))
    made = pin(home.registry, "mixed", tmp_path / "voices", voices=True, count=4, seed=7)
    assert pinned(home.opened(), "mixed") == made
    assert len(made.examples) == 4
    assert made.has_references


def test_a_changed_and_a_vanished_file_are_noticed(home, folder):
    made = pin(home.registry, "mine", folder)
    save(folder / "talk1.s2.wav", tone(999))
    (folder / "talk2.wav").unlink()
    first, second = changed(made)
    assert "talk1 is not what it was" in first
    assert "talk2.wav is gone" in second
    with pytest.raises(AudioError, match=r"mine has changed since .*and 1 more"):
        check_unchanged(made)


def test_the_same_recordings_elsewhere_are_the_same_test_set(home, folder, tmp_path):
    one = pin(home.registry, "one", folder)
    folder.rename(tmp_path / "moved")
    assert pin(home.registry, "two", tmp_path / "moved").fingerprint == one.fingerprint


@pytest.mark.parametrize("name", ["../x", "CON", "", "a b/c", "mine", "MINE"])
def test_a_name_is_safe_and_free(home, folder, name):
    pin(home.registry, "mine", folder)
    with pytest.raises(UsageError) as error:
        pin(home.registry, name, folder)
    assert error.value.hint
    assert [one.name for one in all_pinned(home.registry)] == ["mine"]


def test_an_unknown_test_set_says_what_there_is(home, folder):
    with pytest.raises(UsageError) as error:
        pinned(home.registry, "other")
    assert "vsat testset add" in error.value.hint
    pin(home.registry, "mine", folder)
    with pytest.raises(UsageError) as error:
        pinned(home.registry, "other")
    assert "mine" in error.value.hint
    home.registry.evaluations.unpin("mine")
    with pytest.raises(UsageError):
        home.registry.evaluations.unpin("mine")
    assert (folder / "talk0.wav").exists()


def test_a_record_that_is_no_test_set_is_said(home):
    home.registry.evaluations.pin("odd", {"folder": "x", "examples": [{"name": 1}]})
    with pytest.raises(RegistryError, match="can't be understood"):
        pinned(home.registry, "odd")
