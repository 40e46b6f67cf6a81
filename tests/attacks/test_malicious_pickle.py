"""Pickles that would run something when they are loaded."""

import operator
import os
import pickle
import subprocess

import pytest
from forging import Call, torch_archive
from watch import watching

from vsat.convert.reading import read_checkpoint
from vsat.convert.reading.pytorch import LEGACY_MAGIC
from vsat.errors import UnsafeFileError

PAYLOADS = {
    "posix.system": lambda path: Call(os.system, f"touch {path}"),
    "builtins.exec": lambda path: Call(exec, f"open({str(path)!r}, 'w')"),
    "builtins.eval": lambda path: Call(eval, f"open({str(path)!r}, 'w')"),
    "subprocess.Popen": lambda path: Call(subprocess.Popen, ["touch", str(path)]),
    "operator.attrgetter": lambda path: Call(operator.attrgetter, "system"),
    "io.open": lambda path: Call(open, str(path), "w"),
}
HAND_WRITTEN = {
    "INST": (b"(Vtouch %s\nios\nsystem\n.", "os.system"),
    "OBJ": (b"(cos\nsystem\nVtouch %s\no.", "os.system"),
    "NEWOBJ": (b"\x80\x02cos\nsystem\n(Vtouch %s\nt\x81.", "os.system"),
    "STACK_GLOBAL": (b"\x80\x04Vos\nVsystem\n\x93(Vtouch %s\ntR.", "os.system"),
    "EXT1": (b"\x80\x02\x82\x07(Vtouch %s\ntR.", "extension 7"),
    "name from the memo": (b"\x80\x04Vos\nVsystem\n\x940h\x00", "truncated"),
    "setstate": (b"\x80\x02cos\nPathLike\n)\x81}(V__setstate__\ncos\nsystem\nubVtouch %s\nb.",
                 "os.system"),
    "behind an error": (b"\x80\x02cos\nsystem\n(Vtouch %s\ntRR.", "os.system"),
    "without an end": (b"\x80\x02cos\nsystem\n(Vtouch %s\ntR", "os.system"),
    "dotted": (b"\x80\x04Vtorch\nVserialization.os.system\n\x93(Vtouch %s\ntR.", "os.system"),
}  # fmt: skip


def payload(name, canary):
    return pickle.dumps({"state_dict": PAYLOADS[name](canary)}, protocol=4)


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("form", ["bare", "archive", "legacy"])
def test_calls_are_refused_by_name(name, form, canary, refusal, tmp_path):
    content = payload(name, canary)
    path = tmp_path / "model.pth"
    if form == "archive":
        torch_archive(path, content)
    else:
        head = LEGACY_MAGIC + pickle.dumps(1001) + pickle.dumps({}) if form == "legacy" else b""
        path.write_bytes(head + content)
    assert name in refusal(path, UnsafeFileError)


@pytest.mark.parametrize("name", HAND_WRITTEN.keys() - {"name from the memo"})
def test_every_operation_that_calls_is_refused(name, canary, refusal, tmp_path):
    content, wanted = HAND_WRITTEN[name]
    path = tmp_path / "model.bin"
    path.write_bytes(content.replace(b"%s", str(canary).encode()))
    assert wanted in refusal(path, UnsafeFileError)


def test_all_unknown_names_are_listed(refusal, tmp_path):
    path = tmp_path / "model.pt"
    calls = [Call(os.system, "x"), Call(exec, "x"), Call(os.getcwd), Call(subprocess.Popen, "x")]
    torch_archive(path, pickle.dumps({"optimizer": calls}))
    message = refusal(path, UnsafeFileError)
    for name in ("posix.system", "builtins.exec", "posix.getcwd", "subprocess.Popen"):
        assert name in message


def test_names_with_escapes_are_shown_harmlessly(refusal, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x04V\\u001b[2Jos\nVsystem\n\x93)R.")
    assert "\\x1b[2Jos.system" in refusal(path, UnsafeFileError)


def test_known_names_can_not_be_reached_through(refusal, tmp_path):
    """A constructor of ours has attributes that lead anywhere; a pickle can't get at them."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x04Vcollections\nVOrderedDict.__init__.__globals__\n\x93.")
    assert "__globals__" in refusal(path, UnsafeFileError)


def test_a_second_pickle_behind_the_first_is_refused(canary, refusal, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": 1}) + payload("posix.system", canary))
    assert "posix.system" in refusal(path, UnsafeFileError)


@pytest.mark.parametrize("more", [b"x", pickle.dumps({"b": 2}), b"\0" * 100])
def test_anything_behind_the_pickle_is_refused(more, refusal, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": 1}) + more)
    assert "behind its end" in refusal(path, UnsafeFileError)


def test_the_whole_way_leaves_nothing_behind(canary, tmp_path):
    staging = tmp_path / "staging"
    staging.mkdir()
    path = torch_archive(tmp_path / "model.pt", payload("posix.system", canary))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UnsafeFileError, match=r"posix\.system"):
        read_checkpoint(path, staging)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_watch_and_the_payloads_work(canary):
    """The same payload, loaded by Python itself, runs and is seen."""
    with watching() as seen:
        pickle.loads(payload("io.open", canary)).get("state_dict").close()
    assert canary.exists()
    assert "pickle.find_class" in seen
    assert f"write {canary}" in seen
