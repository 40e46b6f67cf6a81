"""`vsat evaluate`, `compare` and `testset`, and what they change elsewhere."""

import json

import pytest
import toys
from recordings import save, save_talk, tone

pytest.importorskip("onnx")
pytest.importorskip("scipy")

import vsat

FAST = ("--measures", "si_sdr_db,si_sdri_db")


@pytest.fixture
def talks(tmp_path, monkeypatch):
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "home"))
    registry = vsat.ModelRegistry(tmp_path / "home")
    for graph in (toys.scaled(0.5, 0.5), toys.low_and_high()):
        toys.register(registry, tmp_path, graph)
    for number in range(4):
        save_talk(tmp_path / "talks", f"talk{number}", seed=number)
    return tmp_path / "talks"


def test_evaluate_prints_a_row_for_each_measure(vsat_of, talks):
    code, out, err = vsat_of("evaluate", "toy@2", "--on", talks, *FAST)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["measure", "si_sdr_db", "si_sdri_db"]
    assert "toy@2 on 4 recordings, openvino, f32" in err
    code, out, _ = vsat_of("evaluate", "toy@2", *sorted(talks.glob("talk?.wav")), *FAST, "--json")
    found = json.loads(out)
    assert (code, len(found["scores"]), found["model"]) == (0, 4, "toy@2")
    assert found["mean"]["si_sdri_db"] > 10


def test_what_is_estimated_says_so(vsat_of, tmp_path, talks):
    alone = save(tmp_path / "alone" / "x.wav", tone(150) + tone(3_300, seed=1))
    code, out, _ = vsat_of("evaluate", "toy@2", alone)
    assert code == 0
    assert "est_si_sdr_db (estimated)" in out


def test_compare_gives_a_verdict_and_a_page(vsat_of, talks, tmp_path):
    page = tmp_path / "report.html"
    code, out, err = vsat_of("compare", "toy@1", "toy@2", "--on", talks, *FAST, "--report", page)
    assert code == 0
    assert out.splitlines()[-1].startswith("toy@2 is better than toy@1: +")
    assert str(page) in err
    assert "toy@2" in page.read_text()
    files = sorted(talks.glob("talk?.wav"))
    code, out, _ = vsat_of("compare", "toy@1", "toy@2", "--on", *files, *FAST, "--json")
    found = json.loads(out)
    assert (code, found["measure"]) == (0, "si_sdri_db")
    assert found["differences"][0]["si_sdri_db"]["verdict"] == "better"
    assert len(found["evaluations"][0]["scores"]) == 4


def test_choices_of_a_listener_are_kept(vsat_of, talks, tmp_path):
    document = {
        "format": "vsat-choices/1", "test_set": "talks", "test_set_digest": "",
        "versions": ["toy@1", "toy@2"],
        "choices": [
            *({"file": f"talk{n}", "preferred": "toy@2"} for n in range(3)),
            {"file": "talk3", "preferred": None},
        ],
    }  # fmt: skip
    path = tmp_path / "choices.json"
    path.write_text(json.dumps(document))
    code, out, _ = vsat_of("compare", "--choices", path)
    assert code == 0
    assert "toy@2 was preferred to toy@1 in 100 %" in out
    assert "of 3 recordings, and no difference was heard in 1." in out
    document["choices"][0]["preferred"] = "toy@1"
    path.write_text(json.dumps(document))
    found = json.loads(vsat_of("compare", "--choices", path, "--json")[1])
    assert (found["n_decided"], found["n_undecided"]) == (6, 2)
    assert found["share"] == pytest.approx(5 / 6)
    path.write_text("{}")
    assert vsat_of("compare", "--choices", path)[0] == 2


def test_a_test_set_is_pinned_shown_and_forgotten(vsat_of, talks):
    assert vsat_of("testset", "list")[0] == 0
    assert vsat_of("testset", "add", "mine", talks)[0] == 0
    code, out, _ = vsat_of("testset", "list")
    assert "mine" in out
    assert "4 with references" in out
    code, out, _ = vsat_of("testset", "show", "mine", "--json")
    assert (code, json.loads(out)["changed"]) == (0, [])
    save(talks / "talk1.wav", tone(100))
    code, out, _ = vsat_of("testset", "show", "mine")
    assert code == 3
    assert "changed  talk1 is not what it was" in out
    code, _, err = vsat_of("evaluate", "toy", "--on", "mine")
    assert code == 1
    assert "hint: " in err
    assert vsat_of("testset", "rm", "mine")[0] == 0
    assert vsat_of("testset", "show", "mine")[0] == 2


def test_evidence_decides_what_becomes_current(vsat_of, talks):
    vsat_of("testset", "add", "mine", talks)
    code, out, err = vsat_of("models", "--on", "mine")
    assert (code, out) == (0, "")
    assert "vsat evaluate toy@1 --on mine" in err
    code, _, err = vsat_of("use", "toy@2", "--if-better-on", "mine")
    assert code == 0
    assert "toy now means toy@2" in err
    assert "toy@2 is better than toy@1" in vsat_of("history", "toy")[1]
    code, _, err = vsat_of("use", "toy@1", "--if-better-on", "mine")
    assert code == 1
    assert "toy@2 stays current" in err
    code, out, _ = vsat_of("models", "--on", "mine", "--json")
    assert [one["model"] for one in json.loads(out)["ranked"]] == ["toy@2", "toy@1"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("evaluate", "toy"), 2),
        (("evaluate", "toy", "--on", "nothing"), 2),
        (("evaluate", "gone", "--on", "TALKS"), 1),
        (("evaluate", "toy", "--on", "TALKS", "--measures", "loudness"), 2),
        (("evaluate", "toy", "--on", "TALKS", "--on", "other"), 2),
        (("compare", "toy", "--on", "TALKS"), 2),
        (("compare", "toy", "toy@1", "--on", "TALKS"), 2),
        (("testset", "add", "x", "GONE"), 2),
        (("testset", "add", "x", "TALKS", "--count", "0"), 2),
    ],
)
def test_wrong_input_ends_with_a_hint(vsat_of, talks, arguments, code):
    given = [str(talks) if one == "TALKS" else one for one in arguments]
    found, out, err = vsat_of(*given)
    assert (found, out) == (code, "")
    assert "error: " in err.lower()
