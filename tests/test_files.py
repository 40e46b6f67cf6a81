"""Names, digests, copies and writes that are whole or not there."""

import hashlib
import os
import threading
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsat.errors import StorageError, UsageError
from vsat.files import (
    check_free_space,
    check_name,
    copy_and_hash,
    map_os_errors,
    open_regular,
    remove_tree,
    replace_atomically,
    sha256_of,
    write_atomically,
)

UNSAFE = [
    "", " ", ".", "..", "../../x", "a/b", "a\\b", "C:x", "C:\\x", "\\\\server\\share", "CON", "con",
    "nul.txt", "NUL .txt", "com1", "LPT9.onnx", "COM\u00b9", "aux", "trailing.", "trailing ",
    " leading", ".hidden", "-rf", "_x", "a\0b", "a\nb", "a\x7fb", "x" * 101, "\u00e9" * 101,
    "..%2f", "a%2fb",
    "\u202ereversed", "zero\u200bwidth", "a\ud800",
    "a*b", "a?b", 'a"b', "a<b", "a>b", "a|b", "x@2",
]  # fmt: skip
SAFE = ["voice_separator_default", "a", "x.v2", "two words", "日本語", "é", "Ünïcode-1", "console"]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_an_unsafe_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_name(name)
    assert refusal.value.hint
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_name_is_kept(name: str) -> None:
    assert check_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", [None, 3, b"x", Path("x")])
def test_what_is_not_text_is_no_name(name: object) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_a_decomposed_name_is_composed() -> None:
    assert check_name("e\u0301") == "\u00e9"


@given(st.text(max_size=120))
def test_an_accepted_name_stays_in_its_folder(name: str) -> None:
    try:
        accepted = check_name(name)
    except UsageError:
        return
    assert os.path.basename(accepted) == accepted  # noqa: PTH119
    assert accepted not in ("", ".", "..")
    assert check_name(accepted) == accepted
    assert len(accepted.encode()) <= 255


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_copy_is_equal_and_has_the_mode_asked_for(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "a").write_bytes(content)
    digest = copy_and_hash(tmp_path / "a", tmp_path / "b", mode=0o444)
    assert digest == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "b").read_bytes() == content
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o444


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_and_hash(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_source_that_grows_while_it_is_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"x" * 1000)
    true_write = os.write

    def grow_then_write(descriptor: int, chunk: bytes) -> int:
        with open(source, "ab") as file:
            file.write(b"y")
        monkeypatch.setattr(os, "write", true_write)
        return true_write(descriptor, chunk)

    monkeypatch.setattr(os, "write", grow_then_write)
    with pytest.raises(StorageError, match="changed while"):
        copy_and_hash(source, tmp_path / "b")


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"0123456789" * 100)
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, chunk: true_write(fd, chunk[:7]))
    copy_and_hash(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"0123456789" * 100


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outcome: list[BaseException] = []

    def attempt() -> None:
        try:
            open_regular(tmp_path / "pipe")
        except UsageError as error:
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert outcome, "opening a pipe waited for a writer"


def test_links_are_followed_only_where_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"x"
    with pytest.raises(UsageError):
        open_regular(tmp_path / "link", follow_links=False)


def test_a_folder_and_a_device_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError):
            open_regular(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def write_half() -> None:
        with replace_atomically(target) as staged:
            staged.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"longer than what follows")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_writing_into_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="writing"):
        write_atomically(tmp_path / "no" / "a", b"x")


def test_a_tree_is_removed_but_not_what_its_links_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_bytes(b"x")
    (tree / "deep" / "file").chmod(0o444)
    (tree / "deep" / "link").symlink_to(outside)
    (tree / "deep").chmod(0o555)
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").exists()
    remove_tree(tree)  # nothing is there: nothing happens


def test_too_little_space_is_said_before_writing(tmp_path: Path) -> None:
    check_free_space(tmp_path, 0)
    with pytest.raises(StorageError, match="free"):
        check_free_space(tmp_path / "not" / "yet", 1 << 60)


def test_the_systems_errors_become_ours(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="reading it") as error, map_os_errors("reading it"):
        (tmp_path / "no").read_bytes()
    assert isinstance(error.value, OSError)
    assert isinstance(error.value.__cause__, FileNotFoundError)
