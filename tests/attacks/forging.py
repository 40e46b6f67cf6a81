"""Makes hostile files: nothing here is copied from anywhere, and nothing is kept."""

import io
import json
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Call:
    """Pickled, it asks whoever loads it to call a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


def torch_archive(
    path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, **entries: bytes
) -> Path:
    """A file as `torch.save` writes it, around any pickle."""
    named = {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}
    named |= {f"data/{key}": content for key, content in (storages or {}).items()}
    return zip_of(path, {f"model/{name}": content for name, content in (named | entries).items()})


def zip_of(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@dataclass
class Claim:
    """A tensor of float32, as a file may claim it to be."""

    size: Any = (2, 2)
    strides: Any = (2, 1)
    offset: Any = 0
    n_elements: Any = 4
    key: Any = "0"


class _Storage:
    def __init__(self, claim: Claim) -> None:
        self.claim = claim


class _Forger(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        import torch

        return ("storage", torch.FloatStorage, obj.claim.key, "cpu", obj.claim.n_elements)

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Claim):
            return NotImplemented
        from torch._utils import _rebuild_tensor_v2

        return _rebuild_tensor_v2, (_Storage(obj), obj.offset, obj.size, obj.strides, False, {})


def pickled(tree: Any) -> bytes:
    """A pickle in which each `Claim` is a tensor."""
    stream = io.BytesIO()
    _Forger(stream, protocol=2).dump(tree)
    return stream.getvalue()


def tensor(dtype: str = "F32", shape: Any = (2,), place: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


def safetensors_of(path: Path, header: Any, content: bytes = bytes(8)) -> Path:
    """A safetensors file of any header: an object, or the header's own bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path
