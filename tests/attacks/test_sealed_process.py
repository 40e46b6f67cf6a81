"""What a process can still do after it has sealed itself: read, and write one folder.

Each attack is a reader that has been taken over. It runs as `read(source, folder)` in the process.
"""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from vsat.convert.reading import isolation
from vsat.convert.reading.isolation import isolated
from vsat.errors import ConversionError, UnsafeFileError

ATTACKS = {
    "os.system": "os.system('touch {canary}')",
    "subprocess": "subprocess.run(['touch', '{canary}'])",
    "fork": "os.fork()",
    "exec": "os.execv('/bin/sh', ['sh', '-c', 'touch {canary}'])",
    "write": "open('{canary}', 'w')",
    "append": "open('{canary}', 'ab')",
    "open by number": "os.open('{canary}', os.O_CREAT | os.O_WRONLY)",
    "make a folder": "os.mkdir('{canary}')",
    "link": "os.symlink('/etc', str(folder / 'link'))",
    "rename": "os.rename(str(source), '{canary}')",
    "remove": "os.remove(str(source))",
    "read elsewhere": "open('/etc/passwd')",
    "read over the fence": "open(str(folder / '..' / '..' / 'secret'))",
    "socket": "socket.socket()",
    "name look-up": "socket.getaddrinfo('example.org', 80)",
    "foreign code": "ctypes.CDLL(None)",
    "import": "import antigravity",
    "change of owner": "os.chmod(str(source), 0o777)",
    "signal": "os.kill(os.getppid(), 15)",
}
READER = """
import ctypes, os, socket, subprocess, sys, time
from pathlib import Path

def read(source, folder):
    {attack}
    return {{"done": True}}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a reader in the process, as if it were the one for checkpoints."""

    def run(attack, **options):
        source, staging = tmp_path / "in" / "model.pt", tmp_path / "staging"
        (tmp_path / "code").mkdir()
        source.parent.mkdir()
        staging.mkdir()
        source.write_bytes(b"x")
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "code" / "taken_over.py").write_text(READER.format(attack=attack))
        launcher = tmp_path / "code" / "launcher.py"
        launcher.write_text(
            textwrap.dedent("""
            import sys
            from pathlib import Path
            from vsat.convert.reading import worker
            worker.TASKS["checkpoint"] = "taken_over"
            worker.main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
            """)
        )
        places = [str(tmp_path / "code"), *(path for path in sys.path if path)]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
        monkeypatch.setattr(isolation, "WORKER", "launcher")
        try:
            with isolated("checkpoint", source, staging, **options) as (folder, answer):
                return answer, [path.name for path in folder.iterdir()]
        finally:
            assert list(staging.iterdir()) == []
            assert source.read_bytes() == b"x"

    return run


@pytest.mark.parametrize("name", ATTACKS)
def test_a_reader_that_was_taken_over_can_do_nothing(name, run, canary):
    with pytest.raises(UnsafeFileError, match="tried to"):
        run(ATTACKS[name].format(canary=canary))
    assert not canary.exists()


def test_a_reader_can_read_and_write_its_folder(run):
    answer, names = run("(folder / 'a').write_bytes(source.read_bytes())")
    assert answer == {"done": True}
    assert "a" in names


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("os._exit(0)", "no clear answer"),
        ("os._exit(3)", "status 3"),
        ("os.abort()", "ended the process"),
        ("return {'a': 'x' * (9 << 20)}", "no clear answer"),
        ("return {'a': [0] * 10, 'b': float('nan')}", "ended the process"),
        ("raise KeyError('x')", "KeyError"),
        ("raise MemoryError", "memory"),
        ("bytearray(20 << 30)", "memory"),
        ("raise RecursionError", "RecursionError"),
    ],
)
def test_a_reader_that_dies_is_an_error(attack, said, run):
    with pytest.raises(ConversionError, match=said):
        run(attack)


def test_a_reader_that_never_ends_is_stopped(run):
    with pytest.raises(UnsafeFileError, match="stopped after"):
        run("while True: time.sleep(1)", deadline_s=3.0)


@pytest.mark.parametrize("answer", ["{}", "[]", "{", '{"answer": 1}', '{"error": "SystemExit"}'])
def test_an_answer_that_is_none(answer, run):
    """The last words of a reader that was taken over, written by itself."""
    attack = f"(folder / 'outcome.json').write_text('{answer}'); os._exit(0)"
    with pytest.raises(UnsafeFileError, match="no clear answer"):
        run(attack)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
def test_the_process_has_left_the_network():
    """Without the hook: the system itself has no way out, where it lets a process leave."""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody leave the network")
    code = (
        "from vsat.convert.reading import sealing\n"
        "import os\n"
        "before = os.readlink('/proc/self/ns/net')\n"
        "sealing._leave_network()\n"
        "print(os.readlink('/proc/self/ns/net') != before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
