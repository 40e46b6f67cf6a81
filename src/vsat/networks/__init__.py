"""Architectures in PyTorch, a file each, from a closed list: a manifest can name no other class."""

from typing import Any

from torch import nn

from vsat.errors import BundleError
from vsat.networks.band_split import BandSplitGru
from vsat.networks.conv_tasnet import ConvTasNet
from vsat.networks.dprnn import Dprnn
from vsat.networks.frame_mask import FrameMask
from vsat.networks.recurrent_mask import RecurrentMask
from vsat.networks.resepformer import ReSepFormer
from vsat.networks.sepformer import SepFormer
from vsat.networks.skim import Skim
from vsat.networks.sudormrf import SudoRmRf
from vsat.networks.sudormrf_published import PublishedSudoRmRf
from vsat.networks.tiger import Tiger

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "band_split_gru": BandSplitGru,
    "conv_tasnet": ConvTasNet,
    "dprnn": Dprnn,
    "frame_mask": FrameMask,
    "recurrent_mask": RecurrentMask,
    "resepformer": ReSepFormer,
    "sepformer": SepFormer,
    "skim": Skim,
    "sudormrf": PublishedSudoRmRf,
    "sudormrf_improved": SudoRmRf,
    "tiger": Tiger,
}


def build(name: str, parameters: dict[str, Any]) -> nn.Module:
    """Make the network that a manifest describes, with random weights.

    Raises:
        BundleError: the architecture is not on the list, or the parameters don't fit it.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise BundleError(f"There is no architecture {name!r}.", hint=f"Known: {known}.")
    try:
        return ARCHITECTURES[name](**parameters)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BundleError(f"The parameters do not fit the architecture {name}: {error}.") from error
