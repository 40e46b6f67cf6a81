"""`hyperparams.yaml` with tags that would run something, and YAML bombs."""

import pytest
from watch import watching

pytest.importorskip("yaml")

from vsat.convert.reading import hyperparams
from vsat.convert.reading.hyperparams import read_hyperparams
from vsat.errors import ConversionError

PUBLISHED = b"""
# as SpeechBrain writes it
experiment_name: sepformer
sample_rate: 8000
num_spks: 2
N_encoder_out: 256
lr: 0.00015
noprogressbar: False
nothing: null
hours: 1e1000
masknet: !new:speechbrain.lobes.models.dual_path.Dual_Path_Model
    num_spks: !ref <num_spks>
    in_channels: !ref <N_encoder_out>
    intra_model: !ref <SBtfintra>
    norm: ln
    K: 250
lr_scheduler: !new:os.system ["touch canary"]
seed: !apply:os.system ["touch canary"]
half: !ref <N_encoder_out> // 2
loss: !name:os.system
"""


def test_tags_are_not_followed_and_scalars_are_read():
    with watching() as seen:
        found = read_hyperparams(PUBLISHED, "hyperparams.yaml")
    assert not seen
    assert found["sample_rate"] == 8000
    assert found["lr"] == pytest.approx(1.5e-4)
    assert found["noprogressbar"] is False
    assert found["nothing"] is None
    assert found["masknet"] == {
        "num_spks": 2, "in_channels": 256, "intra_model": "<SBtfintra>", "norm": "ln", "K": 250,
    }  # fmt: skip
    assert found["seed"] == ["touch canary"]
    assert found["half"] == "<N_encoder_out> // 2"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a: !!python/object/apply:os.system ['touch canary']", {"a": ["touch canary"]}),
        (b"a: !!python/name:os.system", {"a": ""}),
        (b"a: !!timestamp 2020-01-01", {"a": "2020-01-01"}),
        (b"a: !!binary aGk=", {"a": "aGk="}),
        (b"a: !!int [1, 2]", {"a": [1, 2]}),
        (b"a: &x 1\nb: *x", {"a": 1, "b": 1}),
        (b"<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_tags_of_python_do_nothing(content, found):
    with watching() as seen:
        assert read_hyperparams(content, "x.yaml") == found
    assert not seen


@pytest.mark.parametrize(
    "content",
    [
        b"!!python/object/new:os.system [x]",
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 30)),
        b"a: &a [*a]",
        b"a: " + b"[" * 5_000,
        b"a: " + b"[" * 20 + b"]" * 20,
        b"a: 1\na: 2",
        b"a: 1\n---\nb: 2",
        b"- 1",
        b"",
        b"a: b: c",
        b"a: \xff",
        b"a: \x00",
        b"a: !!int x",
        b"x: " + b"9" * 5_000,
        b"a: " + b"x" * hyperparams.MAX_BYTES,
    ],
    ids=range(15),
)
def test_bombs_and_nonsense(content):
    with pytest.raises(ConversionError) as caught:
        read_hyperparams(content, "x.yaml")
    assert str(caught.value).isprintable()
