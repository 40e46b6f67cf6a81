"""Which files of a repository make a model: one form of it, the safest that is there.

A repository often holds one model in several forms, and much that is no model. In this order, the
first that is whole is taken:

    a bundle of vsat            model.json, with the files beside it that a bundle can have
    safetensors                 config.json and one *.safetensors
    SpeechBrain                 hyperparams.yaml and its *.ckpt
    PyTorch                     pytorch_model.bin, or the only *.pth, *.pt or *.bin
    ONNX                        model.onnx, or the only *.onnx

The card, README.md, goes with each.
"""

from collections.abc import Iterable, Mapping

from vsat.bundle import CARD_NAME, MANIFEST_NAME, ONNX_NAME, WEIGHTS_NAME
from vsat.errors import HubError

CONFIG_NAME = "config.json"
SAFETENSORS_NAME = "model.safetensors"
HYPERPARAMETERS_NAME = "hyperparams.yaml"
PYTORCH_NAME = "pytorch_model.bin"
MAX_TEXT_BYTES = 1 << 20  # of a configuration or a card
MAX_SHOWN = 8  # names in a message

_TEXTS = (CARD_NAME, CONFIG_NAME, HYPERPARAMETERS_NAME, MANIFEST_NAME)


def choose_files(repository: str, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """The names of the files to fetch, from those at a repository's top, sorted.

    Args:
        repository: as the person wrote it, for the message.
        sizes: of all files, in bytes, by their paths in the repository.

    Raises:
        HubError: there is no model among them, or it can't be told which one is meant.
    """
    top = {
        name: size
        for name, size in sizes.items()
        if "/" not in name and (name not in _TEXTS or size <= MAX_TEXT_BYTES)
    }
    chosen = _bundle(top) or _safetensors(top) or _speechbrain(top) or _pytorch(top) or _onnx(top)
    if not chosen:
        raise _nothing_usable(repository, sizes)
    return tuple(sorted({*chosen, *_present(top, CARD_NAME)}))


def _bundle(names: Iterable[str]) -> list[str]:
    if MANIFEST_NAME not in names:
        return []
    parts = (MANIFEST_NAME, ONNX_NAME, WEIGHTS_NAME, SAFETENSORS_NAME)
    return _present(names, *parts) if ONNX_NAME in names else []


def _safetensors(names: Iterable[str]) -> list[str]:
    weights = _the_one(names, ".safetensors", preferred=SAFETENSORS_NAME)
    return [*weights, CONFIG_NAME] if weights and CONFIG_NAME in names else []


def _speechbrain(names: Iterable[str]) -> list[str]:
    parts = [name for name in names if name.endswith(".ckpt")]
    return [*parts, HYPERPARAMETERS_NAME] if parts and HYPERPARAMETERS_NAME in names else []


def _pytorch(names: Iterable[str]) -> list[str]:
    weights = _the_one(names, (".pth", ".pt", ".bin"), preferred=PYTORCH_NAME)
    return [*weights, *_present(names, CONFIG_NAME)] if weights else []


def _onnx(names: Iterable[str]) -> list[str]:
    return _the_one(names, ".onnx", preferred=ONNX_NAME)


def _the_one(names: Iterable[str], endings: str | tuple[str, ...], preferred: str) -> list[str]:
    found = [name for name in names if name.endswith(endings)]
    if preferred in found:
        return [preferred]
    return found if len(found) == 1 else []


def _present(names: Iterable[str], *wanted: str) -> list[str]:
    return [name for name in wanted if name in names]


def _nothing_usable(repository: str, sizes: Mapping[str, int]) -> HubError:
    if not sizes:
        return HubError(f"{repository} is empty.", hint="Check its name on the hub.")
    shown = ", ".join(sorted(sizes)[:MAX_SHOWN]) + ", ..." * (len(sizes) > MAX_SHOWN)
    return HubError(
        f"{repository} has no file that vsat can use, or several of one kind. It holds: {shown}.",
        hint="If one of them is a model, download it and name it: vsat import FILE",
    )
