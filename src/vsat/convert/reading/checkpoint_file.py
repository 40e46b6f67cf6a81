"""From a published file or folder to a `Checkpoint`."""

from pathlib import Path

from vsat.convert.checkpoint import Checkpoint
from vsat.convert.reading.forms import TENSORS_NAME
from vsat.convert.reading.isolation import isolated
from vsat.convert.reading.safetensors import read_safetensors
from vsat.errors import ConversionError, UnsafeFileError
from vsat.files import map_os_errors, open_regular


def read_checkpoint(path: Path, staging: Path | None = None) -> Checkpoint:
    """Read a published checkpoint in a process that can do nothing else.

    Args:
        path: a file of PyTorch (`.pt`, `.pth`, `.bin`, `.ckpt`; today's form, the older one, or a
            bare pickle) or a safetensors file, told apart by content; or a folder with one of
            them and `config.json`, or with `hyperparams.yaml` and a `.ckpt` file for each part.
        staging: where temporary files go; None for the system's place.

    Raises:
        UnsafeFileError: it holds more than tensors and plain values; the message names what.
        ConversionError: it is no checkpoint.
        StorageError: the path can't be read, or the staging folder can't be written.
    """
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"There is nothing at {path}.", hint="Check the path.")
    with isolated("checkpoint", path, staging) as (folder, answer):
        match answer:
            case {"values": dict() as values, "card": str(card)}:
                with (
                    map_os_errors(f"reading {folder}"),
                    open_regular(folder / TENSORS_NAME, follow_links=False) as file,
                ):
                    return Checkpoint(str(path), read_safetensors(file, str(path)), values, card)
    raise UnsafeFileError(f"Reading {path} gave no clear answer.", hint="Don't use the file.")
