"""Where the home is, and what this machine is called."""

from pathlib import Path

import pytest

from vsat import settings
from vsat.errors import UsageError


def test_the_argument_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "variable"))
    assert settings.home(tmp_path / "argument") == tmp_path / "argument"
    assert settings.home() == tmp_path / "variable"


def test_without_either_it_is_the_platforms_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSAT_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert settings.home().name == "vsat"
    assert settings.home().is_absolute()
    assert not settings.home().exists()


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.home("here") == tmp_path / "here"


def test_a_tilde_stands_for_the_persons_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.home("~/models") == tmp_path / "models"


@pytest.mark.parametrize("path", ["", "a\0b", "~nobody-of-that-name/x"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        settings.home(path)


def test_the_machine_is_called_the_same_twice() -> None:
    first = settings.machine_id()
    settings.machine_id.cache_clear()
    assert settings.machine_id() == first
    assert 0 < len(first) <= settings.MAX_MACHINE_LENGTH
    assert first.isprintable()


def test_the_person_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert settings.person() == ""
    monkeypatch.setenv("USER", "ada")
    assert settings.person() == "ada"
