"""A published checkpoint becomes a bundle: read, recognised, built anew from our own networks."""

from pathlib import Path

import torch

from vsat.assembly import export_bundle
from vsat.bundle import SEPARATION, Manifest
from vsat.convert.candidate import Candidate, Wishes, id_from, no_rate, origin_of, stated
from vsat.convert.card import read_card
from vsat.convert.conversion import Conversion
from vsat.convert.families import recognise
from vsat.convert.reading import read_checkpoint
from vsat.errors import ConversionError
from vsat.networks import build


def convert(path: Path, wishes: Wishes, staging: Path) -> Candidate:
    """Make a bundle of a checkpoint, or of a hub's folder that holds one, in the staging folder.

    Raises:
        ConversionError: it is of no known family, incomplete, or with parts left over.
        UnsafeFileError: it holds more than a model has to.
        UsageError: the sample rate is neither stated nor given.
    """
    name = wishes.model_id or id_from(path)
    checkpoint = read_checkpoint(path, staging)
    found = recognise(checkpoint)
    card = read_card(checkpoint.card)
    rate = found.sample_rate if found.sample_rate.value is not None else card.sample_rate
    sample_rate = stated(rate, wishes.sample_rate)
    if sample_rate is None:
        raise no_rate(found.family)
    licence = stated(found.licence or card.licence, wishes.licence)
    manifest = Manifest(
        id=name,
        version=1,
        task=SEPARATION,
        sample_rate=sample_rate.value,
        sources=found.sources.value,
        architecture=found.architecture,
        licence=licence.value if licence else None,
        description=f"{found.family}, imported from {path.name}",
        metadata={"origin": origin_of(path), "family": found.family, **wishes.metadata},
    )
    bundle = export_bundle(
        _network(found, path), manifest, staging / "bundle", card=checkpoint.card, quantise=False
    )
    return Candidate(
        name, bundle.path, bundle.manifest.digest, manifest.metadata, found.family, sample_rate,
        found.sources, licence, found.warnings,
    )  # fmt: skip


def _network(found: Conversion, path: Path) -> torch.nn.Module:
    network = build(found.architecture.name, found.architecture.parameters)
    tensors = {key: torch.from_numpy(value.copy()) for key, value in found.tensors.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ConversionError(
            f"The weights of {path} don't fit a {found.family}: {error}",
            hint="Get the file again; if it is whole, it is of a variant that vsat doesn't know.",
        ) from error
    return network
