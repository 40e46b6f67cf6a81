"""The commands that keep a registry over the years: what they print, and how they end."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest
from homes import Home, damage

from vsat.cli import room
from vsat.errors import UsageError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Three versions of `m`, of which 2 is current and 1 was before; each step is a day of 2026."""
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path)
    for number in (1, 2, 3):
        home.add("m", b"content %d" % number, score=number, description=f"the {number}.")
    home.use("m", 2)
    return home


@pytest.fixture
def json_of(vsat_of):
    def run(*arguments, code=0):
        found, out, err = vsat_of(*arguments, "--json")
        assert found == code, err
        return json.loads(out)

    return run


def numbers(entries):
    return [entry["version"] for entry in entries]


def test_versions_are_filtered_and_paged(home, vsat_of, json_of):
    assert numbers(json_of("models", "--filter", "score >= 2")) == [2, 3]
    assert numbers(json_of("models", "--filter", "score >= 2", "--limit", 1, "--offset", 1)) == [3]
    code, out, _ = vsat_of("models", "--filter", "current")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["m", "2", "current"]
    code, out, err = vsat_of("models", "--filter", "score > 9")
    assert (code, out) == (0, "")
    assert err
    assert json_of("models", "--limit", 0) == {}
    code, _, err = vsat_of("models", "--filter", "score >")
    assert code == 2
    assert "hint: " in err


def test_history_is_paged_and_begins_when_asked(home, vsat_of, json_of):
    assert [e["action"] for e in json_of("history", "m", "--limit", 2)] == ["register", "use"]
    assert [e["action"] for e in json_of("history", "--since", "2026-01-04")] == ["use"]
    assert vsat_of("history", "--since", "soon")[0] == 2


def test_what_was_current_then_is_shown(home, vsat_of, json_of):
    assert json_of("show", "m", "--at", "2026-01-03")["version"] == 1
    assert json_of("show", "m", "--at", "2026-01-04")["version"] == 2
    assert vsat_of("show", "m", "--at", "2025-01-01")[0] == 1
    assert vsat_of("show", "m@1", "--at", "2026-01-03")[0] == 2
    assert json_of("rollback", "m", "--to", "2026-01-03")["current_version"] == 1
    home.registry.delete_version("m", 2)
    code, _, err = vsat_of("show", "m", "--at", "2026-01-04")
    assert code == 1
    assert "deleted since" in err


def test_registering_says_why(home, tmp_path, json_of):
    path = home.file(b"new", "new.bin")
    json_of("register", "m", path, "--task", "other", "--because", "from Ada")
    assert json_of("history", "m", "--limit", 1)[0]["because"] == "from Ada"
    assert json_of("show", "m@4")["came_from"] == str(path)


def test_damage_is_repaired_or_said_to_be_lost(home, vsat_of, json_of):
    assert vsat_of("repair") == (0, "", "Nothing is damaged.\n")
    damage(home.path("m", 2))
    code, _, err = vsat_of("verify")
    assert code == 3
    assert "vsat repair" in err
    assert numbers(json_of("models", "--filter", "quarantined")) == [2]
    assert "current, damaged" in vsat_of("show", "m")[1]
    code, _, err = vsat_of("use", "m@2")  # it is current, but not to be used
    assert (code, "vsat repair m@2" in err) == (3, True)
    (lost,) = json_of("repair", code=3)
    assert (lost["version"], lost["outcome"]) == (2, "lost")
    code, _, err = vsat_of("repair", "m@2")
    assert code == 3
    assert "vsat rm" in err
    home.file(b"content 2")
    (done,) = json_of("repair", "m@2", "--because", "it was still there")
    assert done["outcome"] == "repaired"
    assert json_of("history", "--limit", 1)[0]["because"] == "it was still there"
    assert json_of("verify") == []
    assert vsat_of("repair", "nobody")[0] == 1


def test_doctor_finds_and_mends_damage(home, vsat_of, json_of):
    home.file(b"content 1")
    damage(home.path("m", 1))

    def files(*arguments, code):
        findings = json_of("doctor", *arguments, code=code)
        return next(finding for finding in findings if finding["check"] == "files")

    assert files(code=1)["state"] == "bad"
    assert "vsat repair" in files(code=1)["hint"]
    assert "1 repaired" in files("--fix", code=0)["detail"]
    assert files(code=0)["state"] == "ok"


def test_doctor_rebuilds_a_lost_database(home, vsat_of, json_of):
    home.registry.close()
    database = home.registry.home / "registry.db"
    database.write_bytes(b"no database " * 1000)
    code, out, err = vsat_of("doctor")
    assert code == 1
    assert "doctor --rebuild" in err
    findings = {f["check"]: f for f in json_of("doctor", "--rebuild")}
    assert findings["rebuilt"]["state"] == "attention"  # what was current is not known
    assert "vsat use" in findings["rebuilt"]["hint"]
    assert findings["database"]["state"] == "ok"
    assert json_of("models") == {"m": {"current_version": 3, "versions_count": 3}}
    code, out, err = vsat_of("doctor", "--rebuild")
    assert code == 1
    assert "is whole" in out


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_is_rebuilt_or_replaced_under_another_process(home, vsat_of, tmp_path):
    vsat_of("backup", "b.tar")
    database = home.registry.home / "registry.db"
    script = "import sys; file = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        for arguments in (["restore", "b.tar", "--replace"], ["doctor", "--rebuild"]):
            code, out, err = vsat_of(*arguments)
            assert code == 1
            assert "Another process" in out + err
        other.stdin.close()
    assert vsat_of("restore", "b.tar", "--replace")[0] == 0


def test_pruning_shows_and_then_does(home, vsat_of, json_of):
    for number in (4, 5):
        home.add("m", b"content %d" % number)
    assert numbers(json_of("prune", "--keep", 1, "--dry-run")["versions"]) == [3, 4]
    code, _, err = vsat_of("prune", "m", "--keep", "1", "--dry-run")
    assert (code, "would be freed" in err) == (0, True)
    assert home.numbers("m") == [1, 2, 3, 4, 5]
    told = json_of("prune", "m", "--keep", 1, "--because", "tidying")
    assert numbers(told["versions"]) == [3, 4]
    assert told["freed_bytes"] == sum(entry["freed_bytes"] for entry in told["versions"]) > 0
    assert home.numbers("m") == [1, 2, 5]
    assert json_of("history", "--limit", 1)[0]["because"] == "tidying"
    assert vsat_of("prune", "--keep", "1") == (0, "", "Nothing may go.\n")
    assert vsat_of("prune")[0] == 2
    assert vsat_of("prune", "--keep", "-1")[0] == 2
    assert vsat_of("prune", "nobody", "--keep", "1")[0] == 1


def test_a_quota_is_set_shown_and_heeded(home, vsat_of, json_of):
    assert json_of("config") == {"quota": None}
    home.add("m", b"4" * 2000)
    taken = json_of("df")["total_bytes"]
    assert json_of("config", "quota", "1.5 GB") == {"quota": 1_500_000_000}
    assert vsat_of("config", "quota")[1] == "quota  1.5 GB\n"
    code, out, err = vsat_of("config", "quota", taken - 10)
    assert code == 0
    assert "these go" in err
    assert "m@3" in err
    assert home.numbers("m") == [1, 2, 3, 4]
    path = home.file(b"5", "five.bin")
    code, out, err = vsat_of("register", "m", path, "--task", "other")
    assert (code, out) == (0, "m@5\n")
    assert err.index("these go") < err.index("m@3")
    assert home.numbers("m") == [1, 2, 4, 5]
    assert "nothing was done" in vsat_of("config", "quota", "10 B")[2]
    code, _, err = vsat_of("register", "n", path, "--task", "other")
    assert code == 1
    assert "quota" in err
    assert json_of("config", "quota", "none") == {"quota": None}
    assert vsat_of("config", "colour")[0] == 2
    assert vsat_of("config", "quota", "much")[0] == 2
    assert vsat_of("config", "quota", "0")[0] == 2


@pytest.mark.parametrize("wrong", ["", "GB", "-1", "1e9", "nan", "1 XB", "1" * 400, "٣", "3 G B"])
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(UsageError):
        room.parse_size(wrong)


def test_sizes_are_read_as_their_examples_say():
    result = doctest.testmod(room)
    assert result.attempted
    assert not result.failed


def test_backup_and_restore(home, vsat_of, json_of, tmp_path):
    damage(home.path("m", 3))
    code, out, err = vsat_of("backup", "b.tar")
    assert (code, out) == (0, f"{tmp_path / 'b.tar'}\n")
    assert "m@3: model.bin is damaged" in err
    assert vsat_of("backup", "b.tar")[0] == 2
    assert vsat_of("restore", "b.tar")[0] == 2
    assert vsat_of("restore", "none.tar", "--replace")[0] == 1
    done = json_of("--home", tmp_path / "other", "restore", "b.tar")
    assert done["replaced"] is None
    assert json_of("--home", tmp_path / "other", "models") == json_of("models")
    home.registry.close()
    done = json_of("restore", "b.tar", "--replace")
    assert Path(done["replaced"]).is_dir()
    content = bytearray((tmp_path / "b.tar").read_bytes())
    content[content.index(b"content 1")] ^= 1
    (tmp_path / "b.tar").write_bytes(content)
    assert vsat_of("restore", "b.tar", "--replace")[0] == 3
    assert json_of("models")["m"]["current_version"] == 2


@pytest.mark.parametrize(
    "name",
    ["../../x", "CON", "nul.txt", "C:x", "a/b", "a\\b", "x" * 300, "a.", "..%2f", "a\u202eb"],
)
def test_an_unsafe_id_is_refused_by_every_command(home, vsat_of, name):
    path = home.file(b"x")
    for arguments in (
        ["repair", name], ["prune", name, "--keep", 1], ["show", name, "--at", "2026-01-01"],
        ["rollback", name, "--to", "2026-01-01"], ["history", name, "--limit", 1],
        ["register", name, path, "--task", "other"], ["use", f"{name}@1"], ["rm", f"{name}@1"],
        ["verify", name],
    ):  # fmt: skip
        code, out, err = vsat_of(*arguments)
        assert (code, out) == (2, ""), arguments
        assert "hint: " in err
    assert sorted(p.name for p in (home.registry.home / "models").iterdir()) == ["m"]


def test_what_a_home_that_is_read_only_still_does(home, vsat_of, json_of, monkeypatch):
    from vsat.registry.store import Store

    damage(home.path("m", 3))
    home.registry.close()
    monkeypatch.setattr(Store, "_can_write", lambda self: False)
    assert json_of("models")["m"]["current_version"] == 2
    assert numbers(json_of("models", "--filter", "score < 3")) == [1, 2]
    assert [d["version"] for d in json_of("verify", code=3)] == [3]
    assert json_of("models", "--filter", "quarantined") == []  # can't be written
    assert json_of("df")["total_bytes"] > 0
    assert numbers(json_of("prune", "--keep", 0, "--dry-run")["versions"]) == [3]
    assert json_of("config") == {"quota": None}
    for arguments in (
        ["repair"], ["prune", "--keep", "0"], ["config", "quota", "1GB"],
        ["rollback", "m", "--to", "2026-01-01"],
        ["register", "m", home.file(b"x"), "--task", "other"],
    ):  # fmt: skip
        code, out, err = vsat_of(*arguments)
        assert (code, out) == (1, ""), arguments
        assert "can't be written" in err
    assert vsat_of("backup", "b.tar")[0] == 0
