"""TIGER: recognised, converted whole, and computing what the published form computes."""

import json

import numpy as np
import pytest
from speech import SPEECH

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from published_tiger import SMALL, PublishedTiger, random_tensors
from safetensors.numpy import load_file

from vsat.assembly import agreement_db, export_bundle
from vsat.bundle import Manifest
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.tiger import recognise
from vsat.engines import open_engine
from vsat.errors import ConversionError
from vsat.metrics import si_sdr_improvement_db
from vsat.networks import build

PUBLISHED = SPEECH.parent / "checkpoints" / "tiger-speech"
KEYS = SPEECH.parent / "checkpoints" / "tiger.txt"


def checkpoint(**changed):
    tensors = {name: value.numpy() for name, value in random_tensors().items()}
    return Checkpoint("folder", tensors, SMALL | changed)


def without(name):
    full = checkpoint()
    del full.tensors[name]
    return full


def network_of(conversion):
    network = build(conversion.architecture.name, conversion.architecture.parameters)
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(value))
        for name, value in conversion.tensors.items()
    }
    network.load_state_dict(tensors)
    return network.eval()


def bundle_of(conversion, folder):
    manifest = Manifest(
        id="tiger",
        version=1,
        task="separation",
        sample_rate=conversion.sample_rate.value,
        sources=conversion.sources.value,
        architecture=conversion.architecture,
    )
    return export_bundle(network_of(conversion), manifest, folder, quantise=False)


@pytest.mark.parametrize("samples", [641, 5_000, 16_037])
def test_ours_computes_what_the_published_form_computes(samples):
    network, oracle = network_of(recognise(checkpoint())), PublishedTiger(random_tensors())
    mixture = 0.1 * torch.randn(2, samples)
    with torch.inference_mode():
        estimates = network(mixture)
    expected = oracle(mixture)
    error = (estimates - expected).square().mean()
    assert 10 * torch.log10(expected.square().mean() / error) > 80


def test_rate_and_sources_come_from_the_configuration():
    conversion = recognise(checkpoint())
    assert (conversion.sample_rate.value, conversion.sources.value) == (16_000, 2)
    assert "configuration" in conversion.sample_rate.found_in


def test_another_network_of_the_same_name_is_not_taken_for_it():
    other = {"encoder.weight": np.zeros((4, 4), np.float32), "BN.0.1.weight": np.zeros(1)}
    assert recognise(Checkpoint("tiger", other, SMALL)) is None


@pytest.mark.parametrize(
    "name", ["BN.66.1.bias", "separator.freq_path.0.loc_glo_fus.4.global_act.conv.weight"]
)
def test_a_missing_tensor_is_named(name):
    with pytest.raises(ConversionError, match=name):
        recognise(without(name))


def test_tensors_too_many_are_named():
    full = checkpoint()
    full.tensors["teacher.weight"] = np.zeros(3, np.float32)
    with pytest.raises(ConversionError, match=r"1 tensors too many: teacher\.weight"):
        recognise(full)


@pytest.mark.parametrize(
    "changed",
    [{"win": None}, {"num_blocks": "8"}, {"num_blocks": True}, {"stride": 0}, {"win": 64}],
)
def test_a_configuration_that_does_not_fit_is_refused(changed):
    with pytest.raises(ConversionError) as caught:
        recognise(checkpoint(**changed))
    assert "config.json" in caught.value.hint


@pytest.fixture(scope="module")
def published():
    if not PUBLISHED.exists():
        pytest.skip("the published TIGER is not beside this checkout")
    config = json.loads((PUBLISHED / "config.json").read_text())
    return recognise(Checkpoint("tiger", load_file(PUBLISHED / "model.safetensors"), config))


@pytest.fixture(scope="module")
def published_bundle(published, tmp_path_factory):
    return bundle_of(published, tmp_path_factory.mktemp("tiger") / "bundle")


def test_all_published_keys_are_consumed(published):
    listed = [line.split()[0] for line in KEYS.read_text().splitlines() if line.startswith("   ")]
    assert len(listed) == 838
    assert published.architecture.parameters["blocks"] == 8


def test_each_weight_of_the_published_model_is_stored_once(published, published_bundle):
    n_floats = sum(value.size for value in published.tensors.values())
    assert published_bundle.weights_path.stat().st_size < 4 * n_floats + 100_000
    assert published_bundle.onnx_path.stat().st_size < 4 * n_floats + 2_000_000


def test_graph_and_network_of_the_published_model_agree(published, published_bundle):
    engine = open_engine(published_bundle)
    mixture = 0.05 * torch.randn(1, 12_345, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = network_of(published)(mixture)
    error = (wanted - torch.from_numpy(engine.run(mixture.numpy()))).square().mean()
    assert 10 * torch.log10(wanted.square().mean() / error) > 80


def improvements(bundle, mixtures, rows):
    engine = open_engine(bundle)
    for row in rows:
        mixture, references = mixtures.render(row)
        yield si_sdr_improvement_db(engine.run(mixture[None])[0], references, mixture)


def test_the_published_model_separates_real_voices(published_bundle, mixtures):
    rows = [row for row in mixtures.rows() if row["id"] == "009"]  # a short one
    assert list(improvements(published_bundle, mixtures, rows)) == pytest.approx([16.88], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ids", "expected"),
    [(range(20), 14.88), (range(60, 68), 14.08), (range(130, 134), 6.73)],
    ids=["librispeech", "speechocean762", "noisy"],
)
def test_the_published_model_scores_what_its_authors_reached(
    published_bundle, mixtures, ids, expected
):
    rows = [row for row in mixtures.rows() if int(row["id"]) in ids]
    assert len(rows) == len(ids)
    found = list(improvements(published_bundle, mixtures, rows))
    assert np.mean(found) == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_graph_and_network_of_the_published_model_agree_at_several_lengths(
    published, published_bundle
):
    assert agreement_db(network_of(published), published_bundle) > 80
