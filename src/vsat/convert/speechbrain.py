"""SpeechBrain's SepFormer and RE-SepFormer: a file for each part, and `hyperparams.yaml`."""

import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch

from vsat.bundle import Architecture
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.conversion import Conversion, Fact
from vsat.convert.renaming import Renaming, as_matrix
from vsat.convert.speechbrain_settings import FILE, Settings
from vsat.errors import ConversionError
from vsat.networks.transformer import sinusoids, wave_numbers

SEPFORMER, RESEPFORMER = "SpeechBrain SepFormer", "SpeechBrain RE-SepFormer"
DUAL_PATH, SEGMENTS, MEMORIES = (
    "masknet.dual_mdl",
    "masknet.model.seg_model",
    "masknet.model.mem_model",
)
LAYER = "mdl.layers"
TABLE = "pos_enc.pe"
CHECKED_POSITIONS = 2_500  # of a table; RE-SepFormer's have 100,000, all of one formula


def recognise(checkpoint: Checkpoint) -> Conversion | None:
    """See `vsat.convert.families`.

    Raises:
        ConversionError: it is one of the two, but not whole, or of a kind that is not converted.
    """
    for family, stem, convert in (
        (SEPFORMER, DUAL_PATH, _sepformer),
        (RESEPFORMER, SEGMENTS, _resepformer),
    ):
        if any(name.startswith(f"{stem}.0.") and LAYER in name for name in checkpoint.tensors):
            return _converted(checkpoint, family, convert)
    return None


def _converted(
    checkpoint: Checkpoint,
    family: str,
    convert: Callable[["_Shapes", Settings, Renaming], Architecture],
) -> Conversion:
    settings = Settings(checkpoint, family)
    renaming = Renaming(checkpoint, family)
    architecture = convert(_Shapes(checkpoint, family), settings, renaming)
    kernel, sources = architecture.parameters["kernel"], architecture.parameters["sources"]
    settings.check("kernel_size", kernel)
    settings.check("kernel_stride", kernel // 2)
    settings.check("num_spks", sources)
    settings.check("num_spk", sources)
    rate = settings.number("sample_rate")
    return Conversion(
        family=family,
        architecture=architecture,
        tensors=renaming.finish(architecture),
        sample_rate=Fact(rate, f"sample_rate in {FILE}" if rate else f"no sample_rate in {FILE}"),
        sources=Fact(sources, "the shape of the layer that makes the masks"),
        warnings=tuple(_warnings(settings, sources)),
    )


def _warnings(settings: Settings, sources: int) -> list[str]:
    warnings = []
    if settings.assumed:
        assumed = " and ".join(settings.assumed)
        warnings.append(f"{FILE} does not say it, so {assumed} was taken, as in published models.")
    if sources == 1:
        warnings.append("It gives one voice: it cleans speech, and does not separate speakers.")
    return warnings


def _sepformer(shapes: "_Shapes", settings: Settings, renaming: Renaming) -> Architecture:
    filters, _, kernel = shapes.of("encoder.conv1d.weight", 3)
    width = shapes.of("masknet.conv1d.weight", 3)[0]
    stems = (f"{DUAL_PATH}.0.intra_mdl", f"{DUAL_PATH}.0.inter_mdl")
    sources = shapes.of("masknet.conv2d.weight", 4)[0] // width
    blocks = shapes.count(DUAL_PATH)
    layers = [shapes.count(f"{stem}.{LAYER}") for stem in stems]
    positional = [shapes.has_positions(stem) for stem in stems]

    renaming.take_all("masknet.norm", "norm")
    renaming.take("masknet.conv1d.weight", "bottleneck.weight", as_matrix)
    for number in range(blocks):
        for theirs, ours, count, known in zip(
            ("intra", "inter"), ("within", "across"), layers, positional, strict=True
        ):
            source, target = f"{DUAL_PATH}.{number}.{theirs}", f"blocks.{number}.{ours}"
            _take_transformer(renaming, f"{source}_mdl", target, count)
            renaming.take_all(f"{source}_norm", f"{target}_norm")
            if known:
                shapes.check_positions(f"{source}_mdl")
                renaming.drop(f"{source}_mdl.{TABLE}")
    renaming.take("masknet.prelu.weight", "activation.weight")
    renaming.take("masknet.conv2d.weight", "split.weight", as_matrix)
    # Ours comes after chunks are added up, two for each frame; theirs before, so its bias counts
    # twice.
    renaming.take("masknet.conv2d.bias", "split.bias", lambda bias: 2 * bias)
    renaming.take_linear("masknet.output.0", "value")
    renaming.take_linear("masknet.output_gate.0", "gate")
    renaming.take("masknet.end_conv1x1.weight", "masks.weight", as_matrix)
    _take_filterbank(renaming)
    return Architecture(
        "sepformer",
        {
            "sources": sources,
            "kernel": kernel,
            "filters": filters,
            "width": width,
            "chunk": settings.number_or("K", 250),
            "blocks": blocks,
            "layers": layers,
            "heads": settings.number_or("nhead", 8),
            "hidden": shapes.of(f"{stems[0]}.{LAYER}.0.pos_ffn.ffn.0.weight", 2)[0],
            "positional": positional,
        },
    )


def _resepformer(shapes: "_Shapes", settings: Settings, renaming: Renaming) -> Architecture:
    filters, _, kernel = shapes.of("encoder.conv1d.weight", 3)
    sources = shapes.of("masknet.model.output_fc.1.weight", 3)[0] // filters
    blocks = {stem: shapes.count(stem) for stem in (SEGMENTS, MEMORIES)}
    layers = [shapes.count(f"{stem}.0.{LAYER}") for stem in blocks]
    positional = [shapes.has_positions(f"{stem}.0") for stem in blocks]

    for (stem, count), ours, deep, known in zip(
        blocks.items(), ("segments", "memories"), layers, positional, strict=True
    ):
        for number in range(count):
            source, target = f"{stem}.{number}", f"{ours}.{number}"
            _take_transformer(renaming, source, f"{target}.transformer", deep)
            renaming.take_all(f"{source}.norm", f"{target}.norm", change=np.ravel)
            if known:
                shapes.check_positions(source)
                renaming.drop(f"{source}.{TABLE}")
    renaming.take("masknet.model.output_fc.0.weight", "activation.weight")
    renaming.take(
        "masknet.model.output_fc.1.weight",
        "masks.weight",
        lambda weight: by_source(as_matrix(weight), sources),
    )
    renaming.take(
        "masknet.model.output_fc.1.bias", "masks.bias", lambda bias: by_source(bias, sources)
    )
    _take_filterbank(renaming)
    return Architecture(
        "resepformer",
        {
            "sources": sources,
            "kernel": kernel,
            "filters": filters,
            "segment": settings.number_or("segment_size", 150),
            "blocks": blocks[SEGMENTS],
            "layers": layers,
            "heads": settings.number_or("nhead", 8),
            "hidden": shapes.of(f"{SEGMENTS}.0.{LAYER}.0.pos_ffn.ffn.0.weight", 2)[0],
            "positional": positional,
        },
    )


def _take_filterbank(renaming: Renaming) -> None:
    renaming.take("encoder.conv1d.weight", "filterbank.encoder.weight")
    renaming.take("decoder.weight", "filterbank.decoder.weight")


def _take_transformer(renaming: Renaming, source: str, target: str, layers: int) -> None:
    for number in range(layers):
        theirs, ours = f"{source}.{LAYER}.{number}", f"{target}.layers.{number}"
        renaming.take_all(f"{theirs}.norm1.norm", f"{ours}.0.norm")
        for kind in ("weight", "bias"):
            packed = f"{theirs}.self_att.att.in_proj_{kind}"
            renaming.take(packed, f"{ours}.0.query_key_value.{kind}")
        renaming.take_all(f"{theirs}.self_att.att.out_proj", f"{ours}.0.contract")
        renaming.take_all(f"{theirs}.norm2.norm", f"{ours}.1.norm")
        renaming.take_all(f"{theirs}.pos_ffn.ffn.0", f"{ours}.1.expand")
        renaming.take_all(f"{theirs}.pos_ffn.ffn.3", f"{ours}.1.contract")
    renaming.take_all(f"{source}.mdl.norm.norm", f"{target}.norm")


def by_source(rows: np.ndarray, sources: int) -> np.ndarray:
    """Rows that alternate between sources, brought into an order of source after source.

    Shape:
        (filters * sources, ...) to (sources * filters, ...).
    """
    if sources == 0 or len(rows) % sources:
        return rows  # which then do not fit the network, and are refused as such
    return np.concatenate([rows[source::sources] for source in range(sources)])


class _Shapes:
    """What the tensors show of the network.

    Args:
        checkpoint: whose tensors.
        family: for messages.
    """

    def __init__(self, checkpoint: Checkpoint, family: str) -> None:
        self._origin, self._family = checkpoint.origin, family
        self._tensors = checkpoint.tensors

    def of(self, name: str, rank: int) -> tuple[int, ...]:
        """The shape of a tensor with so many axes, of which none is empty.

        Raises:
            ConversionError: there is no such tensor.
        """
        if name not in self._tensors:
            self._refuse(f"{name} is missing")
        shape = self._tensors[name].shape
        if len(shape) != rank or 0 in shape:
            self._refuse(f"{name} has the shape {shape}")
        return shape

    def count(self, stem: str) -> int:
        """How many of a numbered kind there are; those that are missing are found out later."""
        numbered = re.compile(re.escape(stem) + r"\.(\d{1,3})\.")
        found = map(numbered.match, self._tensors)
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    def has_positions(self, stem: str) -> bool:
        """Whether a transformer adds positions to what goes in."""
        return f"{stem}.{TABLE}" in self._tensors

    def check_positions(self, stem: str) -> None:
        """Check that the table of positions is the formula by which our networks compute it.

        Raises:
            ConversionError: it is another one.
        """
        name = f"{stem}.{TABLE}"
        _, rows, width = self.of(name, 3)
        table = torch.tensor(self._tensors[name][0, :CHECKED_POSITIONS], dtype=torch.float32)
        wanted = sinusoids(min(rows, CHECKED_POSITIONS), wave_numbers(width))
        if wanted.shape != table.shape or not torch.allclose(table, wanted, atol=1e-3):
            self._refuse(f"{name} holds other positions than sines and cosines")

    def _refuse(self, problem: str) -> NoReturn:
        raise ConversionError(
            f"{self._origin} is not a whole {self._family}: {problem}.",
            hint="Get the folder again from where it came, whole.",
        )
