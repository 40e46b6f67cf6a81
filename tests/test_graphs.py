"""What an ONNX graph is said to be."""

from pathlib import Path

import pytest

from vsat.convert.reading import GraphFacts, Port, check_graph
from vsat.convert.reading.graphs import misfit
from vsat.errors import ConversionError

OTHERS = Path(__file__).resolve().parents[2] / "shared" / "checkpoints" / "other"
PACKAGED = Path(__file__).parent.parent / "src/vsat/packaged/voice_separator_default/model.onnx"
MIXTURE = Port("mixture", "float", (None, None))
ESTIMATES = Port("estimates", "float", (None, 2, None))


def facts(inputs=(MIXTURE,), outputs=(ESTIMATES,)):
    return GraphFacts(tuple(inputs), tuple(outputs), 17, "test", 0, ())


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (facts(), ""),
        (facts([Port("x", "float", (1, 1, None))]), ""),
        (facts(outputs=[Port("y", "float", None)]), ""),
        (facts(outputs=[Port("y", "float", (None, None, None))]), ""),
        (facts([MIXTURE, Port("rate", "int64", ())]), "takes 2"),
        (facts(outputs=[ESTIMATES, ESTIMATES]), "gives 2"),
        (facts([Port("x", "double", (None, None))]), "double"),
        (facts([Port("x", "float", (1, 16_000))]), "exactly 16000"),
        (facts([Port("x", "float", (1, 2, None))]), "music"),
        (facts([Port("x", "float", (1, 257, None))]), "257"),
        (facts([Port("x", "float", (None,))]), "shape"),
        (facts(outputs=[Port("y", "float", (None, 1, None))]), "one signal"),
        (facts(outputs=[Port("y", "float", (None, None))]), "one signal"),
        (facts(outputs=[Port("y", "float", (None, 40, None))]), "40 signals"),
        (facts(outputs=[Port("y", "float", (1, 4, 2, None))]), "stems"),
        (facts([MIXTURE, Port("h", "float", (1,))], [ESTIMATES, Port("h_out", "float", (1,))]),
         "step by step"),
    ],
)  # fmt: skip
def test_the_form_of_a_separator(graph, said):
    assert said in misfit(graph)
    assert bool(misfit(graph)) == bool(said)


def test_the_axes_of_a_separator():
    assert facts().sources == 2
    assert facts([Port("x", "float", (1, 1, None))]).has_channel_axis
    assert not facts().has_channel_axis


def test_the_packaged_graph_is_one():
    pytest.importorskip("onnx")
    found = check_graph(PACKAGED)
    assert found.inputs == (MIXTURE,)
    assert found.n_parameters > 1e6


@pytest.mark.skipif(not OTHERS.exists(), reason="no published graphs beside this checkout")
@pytest.mark.parametrize(
    ("name", "state"), [("gtcrn_simple", "conv_cache"), ("silero_vad_16k_op15", "state")]
)
def test_published_graphs_of_other_tasks(name, state):
    pytest.importorskip("onnx")
    path = OTHERS / f"{name}.onnx"
    with pytest.raises(ConversionError, match=state) as caught:
        check_graph(path)
    assert '"task": "other"' in caught.value.hint
    assert check_graph(path, task="other").states
