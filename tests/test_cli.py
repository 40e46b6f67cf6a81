"""The command line: what it prints and makes, how it ends, and what it leaves alone."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from vsat import __version__
from vsat.cli import application, leftovers, main, separating
from vsat.cli.application import COMMANDS, vsat
from vsat.cli.failures import exit_code
from vsat.cli.meter import meter
from vsat.cli.output import plain, print_table, size_text
from vsat.cli.registering import collect
from vsat.errors import Cancelled, DamagedError, ModelNotFoundError, StorageError, UsageError
from vsat.files import STAGING_PREFIX
from vsat.registry import DEFAULT_MODEL_ID, ModelRegistry

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = REPOSITORY / "examples" / "two_voices.flac"
RATE = 8_000
GAINS = (0.75, 0.25)  # of the toy's voices


def save_toy(path, gains=GAINS):
    """Write a graph of which each voice is the mixture times a gain."""
    factors = numpy_helper.from_array(np.array(gains, np.float32).reshape(1, -1, 1), "gains")
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    nodes = [
        helper.make_node("Unsqueeze", ["mixture", "axis"], ["with_sources"]),
        helper.make_node("Mul", ["with_sources", "gains"], ["estimates"]),
    ]
    shapes = (("mixture", ["batch", "samples"]), ("estimates", ["batch", len(gains), "samples"]))
    taken, given_back = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes
    )
    graph = helper.make_graph(nodes, "toy", [taken], [given_back], [factors, axis])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def save_talk(path, seconds=3.0, rate=RATE):
    samples = 0.1 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(autouse=True)
def _signals_as_they_were():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own; the current folder is elsewhere."""
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def trusting(monkeypatch):
    """Spares the self-test, a process of its own, where it is not what is tested."""
    from vsat.engines import self_test

    monkeypatch.setattr(self_test, "check", lambda bundle: None)


@pytest.fixture
def toy(home, trusting, tmp_path):
    """A registry with one version of the model `toy`."""
    path = save_toy(tmp_path / "toy.onnx")
    ModelRegistry().register_model("toy", path, {"sample_rate": RATE, "description": "a toy"})
    return path


@pytest.fixture
def json_of(vsat_of):
    """Run a command that must succeed; what it printed as JSON."""

    def run(*arguments):
        code, out, err = vsat_of(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def process(*arguments, **options):
    """Start a command as a process of its own."""
    command = [sys.executable, "-m", "vsat", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, **pipes)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- the commands themselves


def test_every_command_has_help_and_every_table_json():
    context = click.Context(vsat)
    assert vsat.list_commands(context) == list(COMMANDS)
    for name in COMMANDS:
        command = vsat.get_command(context, name)
        assert command.name == name
        assert command.help
        assert command.get_short_help_str()
        for one in getattr(command, "commands", {"": command}).values():
            assert one.get_short_help_str()
            options = {option for parameter in one.params for option in parameter.opts}
            assert "--json" in options
        undocumented = [
            parameter.name
            for parameter in command.params
            if isinstance(parameter, click.Option) and not parameter.help
        ]
        assert undocumented == []


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "-h"] for name in COMMANDS)])
def test_help_goes_to_stdout_and_is_no_error(vsat_of, arguments):
    code, out, err = vsat_of(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: vsat")


def test_version_and_python_m(vsat_of):
    assert vsat_of("--version") == (0, f"vsat {__version__}\n", "")
    done = process("--version").communicate()
    assert done == (f"vsat {__version__}\n", "")


def test_without_a_command_the_help_is_shown_as_wrong_usage(vsat_of):
    code, out, err = vsat_of()
    assert (code, out) == (2, "")
    assert "separate" in err


@pytest.mark.parametrize("command", ["models", "history", "df"])
def test_what_only_reads_the_registry_loads_nothing_heavy(toy, command):
    script = (
        "import sys; from vsat.cli import main; code = main([sys.argv[1]]);"
        "print(code, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    command_line = [sys.executable, "-c", script, command]
    done = subprocess.run(command_line, capture_output=True, text=True, check=True)
    code, *loaded = done.stderr.splitlines()[-1].split()
    assert code == "0"
    heavy = {"numpy", "rich", "openvino", "onnxruntime", "torch", "PIL", "soundfile", "soxr"}
    assert not heavy & set(loaded)


# ---- how a command ends


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelNotFoundError("m"), 1),
        (StorageError("m"), 1),
        (UsageError("m"), 2),
        (click.BadParameter("m"), 2),
        (DamagedError("m"), 3),
        (Cancelled("m"), 130),
        (OSError(28, "No space left on device"), 1),
        (RuntimeError("m"), 1),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense"], 2, "nonsense"),
        (["models", "--nonsense"], 2, "--nonsense"),
        (["separate"], 2, "FILE"),
        (["separate", "a.wav", "--threads", "0"], 2, "threads"),
        (["--home", "", "models"], 2, "empty"),
        (["show", "nobody"], 1, "nobody"),
        (["show", "toy@7"], 1, "no version 7"),
        (["show", "../../x"], 2, "../../x"),
        (["show", "CON"], 2, "CON"),
        (["use", "toy"], 2, "version"),
        (["use", "toy@x"], 2, "version"),
        (["use", "toy@2"], 1, "toy"),
        (["rm", "toy"], 2, "version"),
        (["rm", "toy@1"], 1, "current"),
        (["rollback", "toy"], 1, "before"),
        (["rollback", "toy@1"], 2, "version"),
        (["history", "nobody"], 1, "nobody"),
        (["verify", "nobody"], 1, "nobody"),
        (["register", "new", "none.onnx", "--sample-rate", "8000"], None, "none.onnx"),
        (["register", "../x", "toy.onnx", "--sample-rate", "8000"], 2, "../x"),
        (["register", "new", "toy.onnx", "--metadata", "nonsense"], 2, "KEY=VALUE"),
        (["separate", "none.wav", "--model", "toy"], 1, "none.wav"),
        (["separate", "none.wav", "--model", "nobody"], 1, "nobody"),
    ],
)
def test_what_goes_wrong_is_a_message_and_a_hint(toy, vsat_of, arguments, code, words):
    found, out, err = vsat_of(*arguments)
    assert found == code or (code is None and found in (1, 2))
    assert out == ""
    assert "error: " in err
    assert "hint: " in err
    assert words in err
    assert names_in(Path()) == []


def test_a_fault_of_ours_is_no_traceback_unless_asked_for(home, vsat_of, monkeypatch):
    def broken(self, **options):
        raise RuntimeError("broken inside")

    monkeypatch.setattr(ModelRegistry, "list_models", broken)
    code, out, err = vsat_of("models")
    assert (code, out) == (1, "")
    assert "broken inside" in err
    assert "--debug" in err
    with pytest.raises(RuntimeError):
        main(["--debug", "models"])


def test_ctrl_c_anywhere_ends_with_130(home, vsat_of, monkeypatch):
    def interrupted(self, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelRegistry, "list_models", interrupted)
    assert vsat_of("models") == (130, "", "\ninterrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_an_error(toy):
    with open("/dev/full", "w") as full:
        started = process("models", stdout=full)
        _, err = started.communicate(timeout=30)
    assert started.returncode == 1
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert "No space left" in err


def test_a_reader_that_goes_away_is_no_noise(toy):
    reading, writing = os.pipe()
    os.close(reading)
    started = process("models", stdout=writing)
    os.close(writing)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (1, "")


# ---- models and versions


def test_the_life_of_a_model(home, trusting, tmp_path, json_of):
    first, second = (save_toy(tmp_path / f"{n}.onnx", (n, 1.0)) for n in (1, 2))
    registered = json_of("register", "toy", first, "--sample-rate", RATE, "--description", "one")
    assert registered == {"model_id": "toy", "version": 1, "is_current": True}
    assert json_of("register", "toy", second, "--sample-rate", RATE)["is_current"] is False
    assert json_of("models") == {"toy": {"current_version": 1, "versions_count": 2}}
    assert json_of("use", "toy@2", "--because", "sounds better")["current_version"] == 2
    assert json_of("show", "toy")["version"] == 2
    assert json_of("rollback", "toy") == {"model_id": "toy", "current_version": 1}
    assert json_of("rm", "toy@2") == {"model_id": "toy", "deleted_version": 2}
    assert json_of("register", "toy", second, "--sample-rate", RATE, "--use") == {
        "model_id": "toy",
        "version": 3,
        "is_current": True,
    }
    told = [(e["action"], e["version"]) for e in json_of("history", "toy")]
    assert told == [
        ("register", 1), ("register", 2), ("use", 2), ("rollback", 1), ("delete", 2),
        ("register", 3), ("use", 3),
    ]  # fmt: skip
    assert json_of("history")[2]["because"] == "sounds better"
    assert json_of("verify") == []


def test_text_of_the_lists(toy, vsat_of, tmp_path):
    other = save_toy(tmp_path / "other.onnx", (0.5, 0.5))
    code, out, err = vsat_of("register", "toy", other, "--sample-rate", "8000")
    assert (code, out) == (0, "toy@2\n")
    assert "vsat use toy@2" in err
    assert vsat_of("models") == (
        0,
        "model  current  versions\ntoy          1         2\n",
        "",
    )
    out = vsat_of("show", "toy")[1]
    assert "toy@1 (current)" in out
    assert "8000 Hz" in out
    assert "\n      2 " in out  # of the list of versions
    assert "\n      2 " not in vsat_of("show", "toy@1")[1]
    assert "register" in vsat_of("history")[1]


def test_an_empty_registry_says_what_to_do(home, vsat_of):
    for command in ("models", "history"):
        code, out, err = vsat_of(command)
        assert (code, out) == (0, "")
        assert err
    assert vsat_of("models", "--json")[1] == "{}\n"


def test_home_is_chosen_by_the_option_before_the_variable(toy, json_of, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    path = tmp_path / "note.txt"
    path.write_text("kept")
    json_of("--home", elsewhere, "register", "note", path, "--task", "other")
    assert list(json_of("--home", elsewhere, "models")) == ["note"]
    assert list(json_of("models")) == ["toy"]


def test_other_files_are_kept_with_their_metadata(home, tmp_path, json_of, vsat_of):
    path = tmp_path / "anything.bin"
    path.write_bytes(b"\0\1\2")
    json_of(
        "register", "any", path, "--task", "other", "--metadata", "room=kitchen",
        "--metadata", "level=-3.5", "--metadata", '{"tags": ["a", "b"]}',
    )  # fmt: skip
    shown = json_of("show", "any")
    expected = {"room": "kitchen", "level": -3.5, "tags": ["a", "b"]}
    assert expected.items() <= shown["metadata"].items()
    assert Path(shown["path"], "anything.bin").read_bytes() == b"\0\1\2"
    code, _, err = vsat_of("separate", EXAMPLE, "--model", "any")
    assert code == 2
    assert "another task" in err


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_metadata_survives_as_pairs_and_as_an_object(metadata):
    pairs = [f"{key}={json.dumps(value)}" for key, value in metadata.items()]
    assert collect(pairs, {}) == metadata
    assert collect([json.dumps(metadata)], {"licence": None}) == metadata
    assert collect(pairs, {"licence": "MIT"}) == {**metadata, "licence": "MIT"}


def test_a_version_that_fails_its_self_test_does_not_become_current(home, tmp_path, vsat_of):
    path = save_toy(tmp_path / "bad.onnx", (float("nan"), 1.0))
    code, _, err = vsat_of("register", "bad", path, "--sample-rate", "8000")
    assert code == 1
    assert "error: " in err
    assert vsat_of("models", "--json")[1] == "{}\n"
    assert vsat_of("doctor")[0] == 0


# ---- separating


def test_separating_makes_voices_a_picture_and_a_table(toy, vsat_of, tmp_path):
    talk = save_talk(tmp_path / "talk.flac")
    code, out, err = vsat_of("separate", talk, "--model", "toy", "--precision", "f32")
    assert code == 0, err
    folder = Path("talk_voices")
    assert names_in(folder) == ["talk.png", "talk.voice1.wav", "talk.voice2.wav"]
    mixture, _ = soundfile.read(talk)
    for number, gain in enumerate(GAINS, start=1):
        voice, rate = soundfile.read(folder / f"talk.voice{number}.wav")
        assert rate == RATE
        np.testing.assert_allclose(voice, gain * mixture, atol=1e-3)
    with Image.open(folder / "talk.png") as image:
        image.load()
    header, first, second, picture = out.splitlines()
    assert header.split() == ["file", "seconds", "level"]
    assert first.split() == ["talk_voices/talk.voice1.wav", "3.0", "-25.5", "dBFS"]
    assert second.split() == ["talk_voices/talk.voice2.wav", "3.0", "-35.1", "dBFS"]
    assert picture == "talk_voices/talk.png"
    for words in ("toy@1", "openvino", "real-time factor", str(folder.absolute())):
        assert words in err
    assert "\x1b" not in err
    assert "\r" not in err


def test_separating_as_json(toy, json_of, tmp_path):
    talk = save_talk(tmp_path / "talk.wav")
    told = json_of("separate", talk, "--model", "toy@1", "-o", tmp_path / "out", "--no-picture")
    [outcome] = told["separated"]
    assert told["failed"] == []
    assert outcome["model"] == "toy@1"
    assert outcome["picture"] is None
    assert outcome["seconds"] == 3.0
    levels = [voice["level_dbfs"] for voice in outcome["voices"]]
    difference_db = 20 * np.log10(GAINS[0] / GAINS[1])
    assert levels[0] - levels[1] == pytest.approx(difference_db, abs=0.01)
    assert names_in(tmp_path / "out") == ["talk.voice1.wav", "talk.voice2.wav"]
    assert [voice["path"] for voice in outcome["voices"]] == [
        str(tmp_path / "out" / f"talk.voice{number}.wav") for number in (1, 2)
    ]


def test_silence_and_nan_are_results(toy, vsat_of, tmp_path):
    silence, broken = tmp_path / "silence.wav", tmp_path / "broken.wav"
    soundfile.write(silence, np.zeros(RATE), RATE)
    samples = np.full(RATE, 0.1, np.float32)
    samples[100:110] = np.nan
    soundfile.write(broken, samples, RATE, subtype="FLOAT")
    code, out, err = vsat_of("separate", silence, broken, "--model", "toy")
    assert code == 0
    assert out.count("silent") == 2
    assert "warning: " in err
    assert "10 samples" in err


def test_one_failing_file_does_not_stop_the_others(toy, vsat_of, tmp_path):
    good, late = save_talk(tmp_path / "good.wav"), save_talk(tmp_path / "late.wav")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF, but no more")
    code, out, err = vsat_of("separate", good, bad, tmp_path / "none.wav", late, "--model", "toy")
    assert code == 1
    assert names_in(Path()) == ["good_voices", "late_voices"]
    assert "2 of 4 files failed" in err
    assert err.index("2 of 4") < err.rindex("bad.wav") < err.rindex("none.wav")
    assert "late.voice2.wav" in out


def test_failures_as_json(toy, vsat_of, tmp_path):
    good = save_talk(tmp_path / "good.wav")
    code, out, _ = vsat_of("separate", good, "none.wav", "--model", "toy", "--json")
    assert code == 1
    told = json.loads(out)
    assert [outcome["mixture"] for outcome in told["separated"]] == [str(good)]
    assert [failure["mixture"] for failure in told["failed"]] == ["none.wav"]
    assert told["failed"][0]["error"]


def test_two_recordings_of_one_name_are_refused_before_anything_is_made(toy, vsat_of, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    one, other = save_talk(tmp_path / "a" / "talk.wav"), save_talk(tmp_path / "b" / "Talk.flac")
    code, out, err = vsat_of("separate", one, other, "--model", "toy")
    assert (code, out) == (2, "")
    assert str(other) in err
    assert names_in(Path()) == []


@pytest.mark.parametrize("name", ["two\nlines.wav", "[red]{x}.wav", "\x1b[31m.wav", "会話.wav"])
def test_names_of_recordings_are_only_names(toy, vsat_of, tmp_path, name):
    code, out, err = vsat_of("separate", save_talk(tmp_path / name), "--model", "toy")
    assert code == 0, err
    assert len(out.splitlines()) == 4
    assert "\x1b" not in out + err
    assert len(names_in(Path(f"{Path(name).stem}_voices"))) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_refused_clearly(toy, tmp_path):
    path = save_talk(tmp_path / "talk.wav").rename(
        os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    )
    started = process("separate", path, "--model", "toy")
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (1, "")
    assert "\\udcff.wav" in err
    assert "Rename it" in err
    assert names_in(Path()) == []


def interrupt_at(monkeypatch, where):
    """Let the person press Ctrl-C at the first report of the work that `where` names."""
    from contextlib import contextmanager

    @contextmanager
    def shown(label):
        def report(done, total):
            if where in label:
                raise KeyboardInterrupt

        if where == "Drawing" and where in label:
            raise KeyboardInterrupt
        yield report

    monkeypatch.setattr(separating, "meter", shown)


def test_ctrl_c_while_separating_leaves_nothing(toy, vsat_of, tmp_path, monkeypatch):
    interrupt_at(monkeypatch, "Separating")
    talk = save_talk(tmp_path / "talk.wav")
    code, out, _ = vsat_of("separate", talk, "--model", "toy")
    assert (code, out) == (130, "")
    assert names_in(Path()) == []


def test_ctrl_c_while_drawing_leaves_whole_voices(toy, vsat_of, tmp_path, monkeypatch):
    interrupt_at(monkeypatch, "Drawing")
    talk = save_talk(tmp_path / "talk.wav")
    assert vsat_of("separate", talk, "--model", "toy")[0] == 130
    assert names_in(Path("talk_voices")) == ["talk.voice1.wav", "talk.voice2.wav"]
    assert soundfile.info("talk_voices/talk.voice2.wav").frames == 3 * RATE


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_voices_are_written_leaves_nothing(toy, tmp_path, number, code):
    long_talk = save_talk(tmp_path / "long.flac", seconds=3600)
    started = process("separate", long_talk, "--model", "toy", "-o", tmp_path / "out")
    deadline = time.monotonic() + 60
    while not list((tmp_path).glob(f"out/{STAGING_PREFIX}*")):
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    not (Path(application.__file__).parents[1] / "packaged" / DEFAULT_MODEL_ID).exists(),
    reason="no model is packaged yet",
)
def test_the_model_that_came_along_separates_the_example(home, json_of):
    [outcome] = json_of("separate", EXAMPLE)["separated"]
    assert outcome["model"] == f"{DEFAULT_MODEL_ID}@1"
    assert len(outcome["voices"]) == 2
    assert json_of("models")[DEFAULT_MODEL_ID]["current_version"] == 1
    assert names_in(Path("two_voices_voices")) == [
        "two_voices.png",
        "two_voices.voice1.wav",
        "two_voices.voice2.wav",
    ]


# ---- upkeep


def damage(path):
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_is_a_trust_failure(toy, home, vsat_of, tmp_path):
    damage(home / "models" / "toy" / "1" / "model.onnx")
    code, out, _ = vsat_of("verify")
    assert code == 3
    assert out.splitlines()[1].split()[:2] == ["toy@1", "model.onnx"]
    code, out, _ = vsat_of("verify", "toy@1", "--json")
    assert (code, json.loads(out)[0]["file"]) == (3, "model.onnx")
    code, out, _ = vsat_of("separate", save_talk(tmp_path / "talk.wav"), "--model", "toy")
    assert (code, out) == (3, "")
    code, out, _ = vsat_of("doctor", "--json")
    states = {finding["check"]: finding["state"] for finding in json.loads(out)}
    assert code == 1
    assert states["files"] == "bad"
    assert states["database"] == "ok"
    code, out, err = vsat_of("show", "toy")  # what is damaged can still be looked at
    assert code == 0
    assert "toy@1" in out
    assert "vsat repair toy@1" in err


def test_a_damaged_database_is_a_clear_error_everywhere(toy, home, vsat_of):
    (home / "registry.db").write_bytes(b"no database " * 1000)
    for command in ("models", "history", "df", "verify"):
        code, out, err = vsat_of(command)
        assert (code, out) == (1, "")
        assert "registry.db" in err
    code, out, _ = vsat_of("doctor", "--json")
    assert code == 1
    assert {f["check"] for f in json.loads(out) if f["state"] == "bad"} >= {"database"}


def test_df_counts_shared_files_once(toy, json_of, tmp_path):
    registry = ModelRegistry()
    registry.register_model("toy", toy, {"sample_rate": RATE, "description": "the same graph"})
    told = json_of("df")
    first, second = told["versions"]
    graph_bytes = toy.stat().st_size
    assert told["total_bytes"] == first["size_bytes"] + second["size_bytes"] - graph_bytes
    assert first["size_bytes"] - first["alone_bytes"] == graph_bytes
    registry.delete_version("toy", 2)
    [left] = json_of("df")["versions"]
    assert left["alone_bytes"] == left["size_bytes"] == json_of("df")["total_bytes"]


def test_doctor_finds_all_well(toy, vsat_of):
    code, out, err = vsat_of("doctor")
    assert (code, err) == (0, "")
    states = {line.split("  ")[0]: line for line in out.splitlines()[1:]}
    assert list(states) == [
        "folder", "database", "files", "unfinished", "records", "free space", "engine"
    ]  # fmt: skip
    assert "openvino" in states["engine"]


def test_doctor_changes_nothing_where_there_is_no_registry(home, vsat_of):
    assert vsat_of("doctor")[0] == 0
    assert not home.exists()


def test_doctor_names_a_version_that_is_not_recorded(toy, home, vsat_of):
    unknown = home / "models" / "toy" / "7"
    unknown.mkdir()
    code, out, err = vsat_of("doctor", "--fix")
    assert code == 0
    assert f"1 versions on disk are not recorded, such as {unknown}" in out
    assert f"vsat register toy {unknown}" in err
    assert unknown.exists()


def test_doctor_removes_what_was_left_unfinished(toy, home, vsat_of, tmp_path):
    folder = home / "models" / "toy" / f"{STAGING_PREFIX}abc-2"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"half")
    folder.chmod(0o500)
    voices = tmp_path / "voices"
    voices.mkdir()
    (voices / f"{STAGING_PREFIX}abc-talk.voice1.wav").write_bytes(b"half")
    (voices / "talk.voice1.wav").write_bytes(b"whole")
    code, out, err = vsat_of("doctor", voices)
    assert (code, "2 left" in out, "--fix" in err) == (0, True, True)
    assert folder.exists()
    code, out, _ = vsat_of("doctor", "--fix", voices)
    assert (code, "2 removed" in out) == (0, True)
    assert names_in(home / "models" / "toy") == ["1"]
    assert names_in(voices) == ["talk.voice1.wav"]
    assert "nothing was left" in vsat_of("doctor", voices)[1]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_doctor_leaves_what_another_process_is_at(toy, home, vsat_of, tmp_path):
    staged = home / "models" / "toy" / f"{STAGING_PREFIX}abc-2"
    staged.mkdir()
    half = tmp_path / f"{STAGING_PREFIX}abc-talk.voice1.wav"
    script = (
        "import sys; files = [open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb')];"
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(home / "registry.db"), str(half)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        assert "2 in use" in vsat_of("doctor", "--fix", tmp_path)[1]
        assert staged.exists()
        assert half.exists()
        other.stdin.close()
    assert "2 removed" in vsat_of("doctor", "--fix", tmp_path)[1]
    assert not staged.exists()
    assert not half.exists()


def test_without_a_list_of_open_files_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "open_paths", lambda: None)
    new, old = tmp_path / f"{STAGING_PREFIX}new", tmp_path / f"{STAGING_PREFIX}old"
    for path in (new, old):
        path.write_bytes(b"")
    an_hour_ago = time.time() - leftovers.ABANDONED_AFTER_S - 1
    os.utime(old, (an_hour_ago, an_hour_ago))
    found = leftovers.find_leftovers(tmp_path)
    assert leftovers.split_by_use(found, tmp_path / "registry.db") == ([old], [new])
    assert leftovers.open_paths is not None
    leftovers.remove_leftover(old)
    leftovers.remove_leftover(old)  # gone already: nothing to do
    assert names_in(tmp_path) == [new.name]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_doctor_warns_of_a_folder_that_anybody_may_change(toy, home, vsat_of):
    home.chmod(home.stat().st_mode | stat.S_IWOTH)
    code, out, err = vsat_of("doctor")
    assert code == 0
    assert "attention" in out
    assert f"chmod o-w {home}" in err


# ---- what is printed


def test_tables_align_wide_characters(capsys):
    print_table(("name", "n"), [("会話", 1), ("e\u0301a", 22), ("plain", None)], right="n")
    assert capsys.readouterr().out.splitlines() == [
        "name    n",
        "会話    1",
        "e\u0301a     22",
        "plain   -",
    ]


@given(st.text())
def test_nothing_that_is_printed_steers_the_terminal(text):
    shown = plain(text)
    assert shown.replace("\n", "").isprintable()
    if text.isprintable():
        assert shown == text


@given(st.integers(0, 10**15))
def test_sizes_are_short_and_right(n_bytes):
    number, unit = size_text(n_bytes).split()
    scale = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) < 1000 or unit == "TB"
    assert float(number) * scale == pytest.approx(n_bytes, rel=0.051, abs=0.5)


def test_the_meter_draws_on_a_terminal_only(monkeypatch, capsys):
    with meter("Working") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with meter("Working on [red]{x}") as progress:
        progress(1, 2)
        progress(2, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Working on [red]{x}" in captured.err


# ---- what comes along


def test_the_example_is_what_its_script_says():
    recorded = soundfile.info(EXAMPLE)
    assert (recorded.samplerate, recorded.channels) == (16_000, 1)
    assert 9 < recorded.duration < 12
    assert EXAMPLE.stat().st_size < 300_000


@pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite"
)
def test_the_example_can_be_made_again(tmp_path):
    script = REPOSITORY / "examples" / "make_two_voices.py"
    target, folder = tmp_path / "again.flac", tmp_path / "references"
    command = [sys.executable, str(script), "-o", str(target), "--references", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    mixture, _ = soundfile.read(target)
    references = [soundfile.read(path)[0] for path in sorted(folder.iterdir())]
    np.testing.assert_allclose(sum(references), mixture, atol=1e-3)
    kept, _ = soundfile.read(EXAMPLE)
    assert len(mixture) == len(kept)
    both_speak = np.logical_and(*(np.abs(reference) > 0.01 for reference in references))
    assert both_speak.mean() > 0.05


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_the_demo_needs_no_torch():
    def commands(target):
        line = ["make", "--dry-run", "--always-make", target]
        return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert "torch" in commands("test").stdout
    assert "torch" not in commands("demo").stdout


def test_search_lists_published_models_and_filters_them(home, vsat_of, json_of):
    code, out, err = vsat_of("search", "sepformer", "--rate", 8_000, "--sources", 2)
    assert code == 0
    first, second, *_ = out.splitlines()
    assert first.split() == ["address", "published", "on", "rate", "sources", "size", "licence"]
    assert second.split()[:3] == ["hf:speechbrain/sepformer-wsj02mix", "22.4", "dB"]
    assert "vsat pull" in err
    found = json_of("search", "--licence", "CC-BY-SA-4.0", "--sources", 3)
    assert {entry["sources"] for entry in found} == {3}
    assert found[0]["score"]["db"] == max(entry["score"]["db"] for entry in found)
    code, out, err = vsat_of("search", "nothing like it")
    assert (code, out) == (0, "")
    assert "no such model" in err
    assert vsat_of("search", "--rate", "0")[0] == 2
    assert not home.exists()
