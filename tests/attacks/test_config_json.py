"""`config.json` beside safetensors: only JSON of one meaning is taken."""

import json

import pytest
from forging import safetensors_of, tensor

from vsat.convert.reading import forms, read_checkpoint
from vsat.errors import ConversionError


def folder_of(tmp_path, config):
    folder = tmp_path / "snapshot"
    folder.mkdir()
    safetensors_of(folder / "model.safetensors", {"w": tensor()})
    (folder / "config.json").write_bytes(config)
    return folder


@pytest.mark.parametrize(
    "config",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' * 100_000,
        b'{"a": [' * 30 + b"]}" * 30,
        b"[]",
        b"",
        b"\xff\xfe",
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"9" * 5_000 + b"}",
        b" " * (forms.MAX_CONFIG_BYTES + 1),
    ],
    ids=range(11),
)
def test_configurations_that_are_refused(config, tmp_path):
    with pytest.raises(ConversionError) as caught:
        forms._read_folder(folder_of(tmp_path, config))
    assert "config.json" in str(caught.value)


def test_a_class_that_is_named_is_only_text(tmp_path):
    config = json.dumps({"auto_map": {"AutoModel": "modeling.Evil"}, "_class": "os.system"})
    found = read_checkpoint(folder_of(tmp_path, config.encode()))
    assert found.values == json.loads(config)
