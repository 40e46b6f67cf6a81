"""SpeechBrain's SepFormers: every tensor finds its place, and a plain implementation agrees."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch.nn import functional

from vsat.assembly import export_bundle
from vsat.bundle import Manifest
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.families import recognise
from vsat.convert.speechbrain import by_source
from vsat.engines import open_engine
from vsat.errors import ConversionError
from vsat.networks import build

LIST = Path(__file__).resolve().parents[2] / "shared/checkpoints/speechbrain_sepformer.txt"
PARTS = {"enc": "encoder", "masknet": "masknet", "dec": "decoder"}  # of that list, and of the files
HEADS, CHUNK, SEGMENT = 4, 20, 30


# The keys and shapes, as SpeechBrain names them.


def transformer_shapes(stem, width, hidden, layers, positions):
    found = {}
    for number in range(layers):
        layer = f"{stem}.mdl.layers.{number}"
        found |= {
            f"{layer}.self_att.att.in_proj_weight": (3 * width, width),
            f"{layer}.self_att.att.in_proj_bias": (3 * width,),
            f"{layer}.self_att.att.out_proj.weight": (width, width),
            f"{layer}.self_att.att.out_proj.bias": (width,),
            f"{layer}.pos_ffn.ffn.0.weight": (hidden, width),
            f"{layer}.pos_ffn.ffn.0.bias": (hidden,),
            f"{layer}.pos_ffn.ffn.3.weight": (width, hidden),
            f"{layer}.pos_ffn.ffn.3.bias": (width,),
        } | norm_shapes(f"{layer}.norm1.norm", f"{layer}.norm2.norm", width=width)
    found |= norm_shapes(f"{stem}.mdl.norm.norm", width=width)
    return found | ({f"{stem}.pos_enc.pe": (1, positions, width)} if positions else {})


def norm_shapes(*stems, width):
    return {f"{stem}.{kind}": (width,) for stem in stems for kind in ("weight", "bias")}


def sepformer_shapes(
    filters=24, kernel=16, width=16, hidden=20, layers=(2, 1), blocks=2, sources=2, positions=2_500
):
    found = norm_shapes("masknet.norm", width=filters) | {
        "encoder.conv1d.weight": (filters, 1, kernel),
        "decoder.weight": (filters, 1, kernel),
        "masknet.conv1d.weight": (width, filters, 1),
        "masknet.conv2d.weight": (sources * width, width, 1, 1),
        "masknet.conv2d.bias": (sources * width,),
        "masknet.end_conv1x1.weight": (filters, width, 1),
        "masknet.prelu.weight": (1,),
    }
    for gate in ("output", "output_gate"):
        found[f"masknet.{gate}.0.weight"] = (width, width, 1)
        found[f"masknet.{gate}.0.bias"] = (width,)
    for number in range(blocks):
        for name, count in zip(("intra", "inter"), layers, strict=True):
            stem = f"masknet.dual_mdl.{number}.{name}"
            found |= transformer_shapes(f"{stem}_mdl", width, hidden, count, positions)
            found |= norm_shapes(f"{stem}_norm", width=width)
    return found


def resepformer_shapes(
    filters=24, kernel=16, hidden=20, layers=(2, 1), blocks=3, sources=2, positions=(5_000, 5_000)
):
    found = {
        "encoder.conv1d.weight": (filters, 1, kernel),
        "decoder.weight": (filters, 1, kernel),
        "masknet.model.output_fc.0.weight": (1,),
        "masknet.model.output_fc.1.weight": (sources * filters, filters, 1),
        "masknet.model.output_fc.1.bias": (sources * filters,),
    }
    counts = {"seg_model": blocks, "mem_model": blocks - 1}
    for (name, count), deep, rows in zip(counts.items(), layers, positions, strict=True):
        for number in range(count):
            stem = f"masknet.model.{name}.{number}"
            found |= transformer_shapes(stem, filters, hidden, deep, rows)
            found |= {f"{stem}.norm.{kind}": (filters, 1) for kind in ("weight", "bias")}
    return found


def filled(shapes, seed=0):
    """Weights of a size that lets signals through, so that every one of them counts."""
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("pos_enc.pe"):
            value = positions(*shape[1:])[None]
        elif "norm" in name and name.endswith("weight"):
            value = random.uniform(0.5, 1.5, shape)
        elif "prelu" in name or "output_fc.0" in name:
            value = np.full(shape, 0.2)
        else:
            value = random.normal(0, 0.6 / np.sqrt(np.prod(shape[1:], initial=1)), shape)
        tensors[name] = value.astype(np.float32)
    return tensors


def positions(rows, width):
    """Sines in the even features and cosines in the odd ones."""
    angles = np.arange(rows)[:, None] / 10_000 ** (np.arange(0, width, 2) / width)
    table = np.empty((rows, width))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table


def sepformer(heads=HEADS, chunk=CHUNK, **sizes):
    values = {
        "sample_rate": 8_000,
        "num_spks": sizes.get("sources", 2),
        "SBtfintra": {"nhead": heads, "norm_before": True, "activation": "relu", "dropout": 0},
        "MaskNet": {"K": chunk, "norm": "ln", "skip_around_intra": True},
        "Decoder": {"kernel_size": 16, "stride": 8},
        "modules": {"masknet": "<MaskNet>"},
    }
    return Checkpoint("sepformer-wsj02mix", filled(sepformer_shapes(**sizes)), values)


def resepformer(**sizes):
    values = {
        "sample_rate": 8_000,
        "seg_model": {"nhead": HEADS, "norm_before": True, "use_norm": True},
        "MaskNet": {"segment_size": SEGMENT, "mem_type": "av", "causal": False},
    }
    return Checkpoint("resepformer-wsj02mix", filled(resepformer_shapes(**sizes)), values)


# The networks once more, spelled out channel by channel from SpeechBrain's description.


class Plain:
    """SpeechBrain's layers by PyTorch's own, fed with a checkpoint's tensors."""

    def __init__(self, checkpoint, heads=HEADS, chunk=CHUNK):
        self.weights = {name: torch.from_numpy(value) for name, value in checkpoint.tensors.items()}
        self.heads, self.chunk = heads, chunk

    def transformer(self, stem, steps):
        """Layers that normalise before; (batch, steps, width), the same out."""
        if f"{stem}.pos_enc.pe" in self.weights:
            steps = steps + self.weights[f"{stem}.pos_enc.pe"][:, : steps.shape[1]]
        number = 0
        while any(name.startswith(f"{stem}.mdl.layers.{number}.") for name in self.weights):
            steps = self.layer(f"{stem}.mdl.layers.{number}", steps)
            number += 1
        scale, offset = (self.weights[f"{stem}.mdl.norm.norm.{k}"] for k in ("weight", "bias"))
        return functional.layer_norm(steps, scale.shape, scale, offset, 1e-6)

    def layer(self, stem, steps):
        names = {
            "self_att.att": "self_attn", "pos_ffn.ffn.0": "linear1", "pos_ffn.ffn.3": "linear2",
            "norm1.norm": "norm1", "norm2.norm": "norm2",
        }  # fmt: skip
        state = {}
        for theirs, ours in names.items():
            for name, value in self.weights.items():
                if name.startswith(f"{stem}.{theirs}."):
                    state[name.replace(f"{stem}.{theirs}", ours)] = value
        width, hidden = steps.shape[-1], len(state["linear1.bias"])
        layer = torch.nn.TransformerEncoderLayer(
            width, self.heads, hidden, 0.0, layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        layer.load_state_dict(state)
        return layer.eval()(steps)

    def convolved(self, name, values):
        weight = self.weights[f"{name}.weight"]
        convolve = functional.conv2d if weight.ndim == 4 else functional.conv1d
        return convolve(values, weight, self.weights.get(f"{name}.bias"))

    def normed(self, name, values, eps):
        weight, bias = (self.weights[f"{name}.{kind}"].flatten() for kind in ("weight", "bias"))
        return functional.group_norm(values, 1, weight, bias, eps)

    def separated(self, mixture):
        """(samples,) to (sources, samples)."""
        hop = self.weights["encoder.conv1d.weight"].shape[-1] // 2
        encoded = functional.conv1d(
            mixture[None], self.weights["encoder.conv1d.weight"], stride=hop
        )
        encoded = encoded.relu()  # (F, N)
        voices = []
        for mask in self.masks(encoded):
            voice = functional.conv_transpose1d(
                mask * encoded, self.weights["decoder.weight"], stride=hop
            )[0]
            voices.append(functional.pad(voice, (0, len(mixture) - len(voice))))
        return torch.stack(voices)


class PlainSepFormer(Plain):
    def masks(self, encoded):
        frames, chunk, half = encoded.shape[1], self.chunk, self.chunk // 2
        features = self.convolved(
            "masknet.conv1d", self.normed("masknet.norm", encoded[None], 1e-8)
        )
        end = 2 * half + frames
        end += chunk - (half + frames) % chunk  # never none
        padded = functional.pad(features, (half, end - half - frames))
        chunks = padded.unfold(2, chunk, half).transpose(2, 3)  # (1, C, K, G)
        number = 0
        while f"masknet.dual_mdl.{number}.intra_norm.weight" in self.weights:
            chunks = self.block(f"masknet.dual_mdl.{number}", chunks)
            number += 1
        chunks = functional.prelu(chunks, self.weights["masknet.prelu.weight"])
        chunks = self.convolved("masknet.conv2d", chunks)[0]  # (S * C, K, G)
        joined = torch.zeros(len(chunks), end)
        for place in range(chunks.shape[-1]):
            joined[:, place * half : place * half + chunk] += chunks[..., place]
        for voice in joined[:, half : half + frames].split(features.shape[1]):
            value = self.convolved("masknet.output.0", voice).tanh()
            gate = self.convolved("masknet.output_gate.0", voice).sigmoid()
            yield self.convolved("masknet.end_conv1x1", value * gate).relu()

    def block(self, stem, chunks):
        # There from (C, K, G) and back again: along K for each of G, then along G for each of K.
        for name, there, back in (("intra", (2, 1, 0), (2, 1, 0)), ("inter", (1, 2, 0), (2, 0, 1))):
            mixed = self.transformer(f"{stem}.{name}_mdl", chunks[0].permute(there)).permute(back)
            chunks = chunks + self.normed(f"{stem}.{name}_norm", mixed[None], 1e-8)
        return chunks


class PlainReSepFormer(Plain):
    def masks(self, encoded):
        frames = encoded.shape[1]
        padded = functional.pad(encoded, (0, SEGMENT - frames % SEGMENT))
        segments = list(padded.T.split(SEGMENT))  # each (K, F)
        told = [0.0] * len(segments)
        number = 0
        while f"masknet.model.seg_model.{number}.norm.weight" in self.weights:
            segments = [
                self.block(f"masknet.model.seg_model.{number}", segment + told[place])
                for place, segment in enumerate(segments)
            ]
            if f"masknet.model.mem_model.{number}.norm.weight" in self.weights:
                means = torch.stack([segment.mean(0) for segment in segments])
                told = self.block(f"masknet.model.mem_model.{number}", means)
            number += 1
        features = torch.cat(segments)[:frames].T
        features = functional.prelu(features, self.weights["masknet.model.output_fc.0.weight"])
        masks = self.convolved("masknet.model.output_fc.1", features).relu()
        return masks.unflatten(0, (len(encoded), -1)).unbind(1)

    def block(self, stem, steps):
        mixed = self.transformer(stem, steps[None])[0]
        return steps + self.normed(f"{stem}.norm", mixed.T[None], 2**-23)[0].T


KINDS = {"sepformer": (sepformer, PlainSepFormer), "resepformer": (resepformer, PlainReSepFormer)}


def network_of(conversion):
    network = build(conversion.architecture.name, conversion.architecture.parameters)
    tensors = {name: torch.from_numpy(value) for name, value in conversion.tensors.items()}
    network.load_state_dict(tensors)
    return network.eval()


def noise(samples, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32))


def agreement(estimates, wanted):
    return float(10 * torch.log10(wanted.square().mean() / (estimates - wanted).square().mean()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sources", [1, 2, 3])
@torch.inference_mode()
def test_a_plain_implementation_agrees(kind, sources):
    make, plain = KINDS[kind]
    checkpoint = make(sources=sources)
    network = network_of(recognise(checkpoint))
    # 0 and 1 frames more or less than whole chunks and segments of 80 and 240 samples; odd ones
    for samples in (16, 17, 95, 1_111, 1_608, 1_616, 2_401, 2_408, 4_007):
        mixture = noise(samples)
        wanted = plain(checkpoint).separated(mixture)
        assert wanted.shape == (sources, samples)
        assert wanted.abs().amax(1).min() > 1e-3  # all sources are heard
        assert agreement(network(mixture[None])[0], wanted) > 100, samples


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_recordings_of_a_batch_do_not_see_one_another(kind):
    network = network_of(recognise(KINDS[kind][0]()))
    mixtures = torch.stack([noise(3_000, 1), 3 * noise(3_000, 2)])
    both = network(mixtures)
    for mixture, estimates in zip(mixtures, both, strict=True):
        assert agreement(network(mixture[None])[0], estimates) > 110


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_without_tables_positions_are_unknown(kind):
    make, plain = KINDS[kind]
    none = {"sepformer": 0, "resepformer": (5_000, 0)}[kind]
    checkpoint = make(positions=none)
    conversion = recognise(checkpoint)
    known = {"sepformer": [False, False], "resepformer": [True, False]}[kind]
    assert conversion.architecture.parameters["positional"] == known
    mixture = noise(2_345)
    estimates = network_of(conversion)(mixture[None])[0]
    assert agreement(estimates, plain(checkpoint).separated(mixture)) > 100


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_found_is_said_with_where(kind):
    conversion = recognise(KINDS[kind][0]())
    assert conversion.family == {
        "sepformer": "SpeechBrain SepFormer", "resepformer": "SpeechBrain RE-SepFormer"
    }[kind]  # fmt: skip
    assert conversion.sample_rate.value == 8_000
    assert "hyperparams.yaml" in conversion.sample_rate.found_in
    assert conversion.sources.value == 2
    assert conversion.architecture.parameters["heads"] == HEADS
    assert conversion.warnings == ()
    assert not any("pe" in name.split(".") for name in conversion.tensors)


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_yaml_published_values_are_taken_and_said(kind):
    checkpoint = dataclasses.replace(KINDS[kind][0](), values={})
    conversion = recognise(checkpoint)
    assert conversion.sample_rate.value is None
    (warning,) = conversion.warnings
    wanted = {"sepformer": "K = 250", "resepformer": "segment_size = 150"}[kind]
    assert wanted in warning
    assert "nhead = 8" in warning


def test_one_voice_is_said_to_be_enhancement():
    (warning,) = recognise(sepformer(sources=1)).warnings
    assert "one voice" in warning


@pytest.mark.parametrize(
    "changed",
    [
        {"SBtfintra": {"norm_before": False}},
        {"SBtfintra": {"activation": "gelu"}},
        {"SBtfinter": {"nhead": 2}},
        {"SBtfintra": {"nhead": 5}},
        {"MaskNet": {"K": 250, "skip_around_intra": False}},
        {"MaskNet": {"K": 251}},
        {"MaskNet": {"K": -2}},
        {"MaskNet": {"K": True}},
        {"MaskNet": {"K": "250"}},
        {"num_spks": 3},
        {"kernel_stride": 4},
        {"sample_rate": "8000"},
    ],
    ids=str,
)
def test_a_yaml_of_another_network_is_refused(changed):
    checkpoint = sepformer()
    with pytest.raises(ConversionError, match="SepFormer") as caught:
        recognise(dataclasses.replace(checkpoint, values=checkpoint.values | changed))
    assert caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_every_single_tensor_is_needed(kind):
    checkpoint = KINDS[kind][0](blocks=2, layers=(1, 1))
    for name in checkpoint.tensors:
        tensors = {other: value for other, value in checkpoint.tensors.items() if other != name}
        half = dataclasses.replace(checkpoint, tensors=tensors)
        if name.endswith(".0.pos_enc.pe") or "0.intra_mdl.pos" in name or "0.inter_mdl.pos" in name:
            continue  # then the network has no positions there, which is another whole network
        with pytest.raises(ConversionError, match="not a whole"):
            recognise(half)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_too_many_or_of_another_shape_is_refused(kind):
    checkpoint = KINDS[kind][0](blocks=2, layers=(1, 1))
    more = checkpoint.tensors | {"masknet.intra_linear.w.weight": np.zeros((2, 2), np.float32)}
    with pytest.raises(ConversionError, match="intra_linear"):
        recognise(dataclasses.replace(checkpoint, tensors=more))
    for name, value in checkpoint.tensors.items():
        # Twice as much, or for a table, which any length will do for, other positions.
        other = np.roll(value, 1, axis=1) if "pos_enc" in name else np.concatenate([value, value])
        with pytest.raises(ConversionError, match="SepFormer"):
            recognise(dataclasses.replace(checkpoint, tensors=checkpoint.tensors | {name: other}))


@pytest.mark.parametrize(
    "name", ["encoder.conv1d.weight", "masknet.conv1d.weight", "masknet.conv2d.weight"]
)
def test_tensors_without_axes_are_refused(name):
    checkpoint = sepformer()
    for value in (np.float32(1), np.zeros((0, 1, 16), np.float32)):
        tensors = checkpoint.tensors | {name: np.asarray(value)}
        with pytest.raises(ConversionError, match=re.escape(name)):
            recognise(dataclasses.replace(checkpoint, tensors=tensors))


def test_rows_are_put_in_the_order_of_sources():
    rows = np.array([[10, 0], [20, 0], [11, 0], [21, 0], [12, 0], [22, 0]])
    assert by_source(rows, 2)[:, 0].tolist() == [10, 11, 12, 20, 21, 22]


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_agrees_with_the_network(kind, tmp_path):
    conversion = recognise(KINDS[kind][0]())
    network = network_of(conversion)
    manifest = Manifest(
        id="x",
        version=1,
        task="separation",
        sample_rate=8_000,
        sources=2,
        architecture=conversion.architecture,
    )
    bundle = export_bundle(network, manifest, tmp_path / "bundle", quantise=False)
    engine = open_engine(bundle, threads=1)
    for samples in (1, 16, 7_001, 999, 8_002, 8_002, 24_011):  # of one engine, in this order
        mixture = noise(samples, samples)[None]
        with torch.inference_mode():
            wanted = network(mixture)
        found = torch.from_numpy(engine.run(mixture.numpy()))
        assert found.shape == wanted.shape
        assert agreement(found, wanted) > 90 or wanted.abs().max() < 1e-4, samples


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_training_moves_every_weight(kind):
    network = network_of(recognise(KINDS[kind][0](blocks=2))).train()
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    network(noise(2_000)[None]).square().mean().backward()
    optimiser.step()
    still = [name for name, value in network.named_parameters() if torch.equal(value, before[name])]
    assert still == []


# The real names and sizes.


def listed():
    if not LIST.exists():
        pytest.skip("no lists of published checkpoints beside this checkout")
    found, part = {}, ""
    for line in LIST.read_text().splitlines():
        if line.startswith("## "):
            part = PARTS[line.split()[1]]
        elif line.strip():
            name, shape = re.fullmatch(r"\s*(\S+) \(([\d, ]*)\) float32", line).groups()
            found[f"{part}.{name}"] = tuple(int(size) for size in shape.split(",") if size.strip())
    return found


def test_the_names_here_are_the_published_ones():
    sizes = {"filters": 256, "width": 256, "hidden": 1_024, "layers": (8, 8)}
    assert sepformer_shapes(**sizes) == listed()


@pytest.mark.slow
@torch.inference_mode()
def test_the_published_sizes_are_converted_whole_and_agree():
    checkpoint = Checkpoint(
        "sepformer-wsj02mix",
        filled(listed()),
        {"sample_rate": 8_000, "nhead": 8, "MaskNet": {"K": 250}},
    )
    conversion = recognise(checkpoint)
    assert conversion.architecture.parameters == {
        "sources": 2,
        "kernel": 16,
        "filters": 256,
        "width": 256,
        "chunk": 250,
        "blocks": 2,
        "layers": [8, 8],
        "heads": 8,
        "hidden": 1_024,
        "positional": [True, True],
    }
    mixture = noise(8_011)
    wanted = PlainSepFormer(checkpoint, heads=8, chunk=250).separated(mixture)
    assert agreement(network_of(conversion)(mixture[None])[0], wanted) > 90
