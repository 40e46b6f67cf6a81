"""The catalogue of published models: strictly read, found by word and by what is asked of them."""

import contextlib
import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsat.convert.catalogue import FILE, read_catalogue, search_catalogue
from vsat.errors import VsatError

ENTRIES = json.loads(FILE.read_text())


def addresses(*words, **asked):
    return [entry.address for entry in search_catalogue(*words, **asked)]


def test_without_a_word_all_are_listed_the_best_first_and_the_unscored_last():
    found = search_catalogue()
    assert len(found) == len(ENTRIES)
    scores = [entry.score.db for entry in found if entry.score]
    assert scores == sorted(scores, reverse=True)
    assert [entry.score is None for entry in found] == sorted(
        entry.score is None for entry in found
    )
    assert found[0].address == "hf:speechbrain/sepformer-wsj02mix"
    assert found[-1].address == "hf:JusperLee/TIGER-speech"


@pytest.mark.parametrize("word", ["conv-tasnet", "ConvTasNet", "CONV TASNET", "convtasnet"])
def test_case_and_punctuation_do_not_count(word):
    found = addresses(word)
    assert "hf:JorisCos/ConvTasNet_Libri2Mix_sepclean_16k" in found
    assert not any("sepformer" in address for address in found)


def test_a_word_is_looked_for_in_address_family_and_test_set():
    assert addresses("julien-c") == ["hf:julien-c/DPRNNTasNet-ks16_WHAM_sepclean"]
    assert addresses("RE-SepFormer") == ["hf:speechbrain/resepformer-wsj02mix"]
    assert set(addresses("WSJ0-3mix")) == {"hf:speechbrain/sepformer-wsj03mix"}
    assert addresses("no such thing") == []


def test_what_is_asked_for_holds_for_all_that_is_found():
    for rate in (8_000, 16_000):
        found = search_catalogue(sample_rate=rate)
        assert found
        assert {entry.sample_rate for entry in found} == {rate}
    assert {entry.sources for entry in search_catalogue(sources=3)} == {3}
    assert {entry.licence for entry in search_catalogue(licence="Apache-2.0")} == {"apache-2.0"}
    assert search_catalogue(licence="apache") == []
    assert search_catalogue(sample_rate=44_100) == []
    both = search_catalogue("sepformer", sample_rate=16_000, sources=2, licence="apache-2.0")
    assert [entry.address for entry in both] == ["hf:speechbrain/sepformer-whamr16k"]


def test_addresses_are_of_the_form_that_is_pulled():
    for address in addresses():
        assert re.fullmatch(r"hf:[\w.-]+/[\w.-]+", address)


def changed(**fields):
    return [ENTRIES[0] | fields]


@pytest.mark.parametrize(
    "document",
    [
        {},
        [[]],
        [{key: value for key, value in ENTRIES[0].items() if key != "licence"}],
        changed(colour="red"),
        changed(sample_rate="8000"),
        changed(sample_rate=8000.0),
        changed(sample_rate=0),
        changed(sources=True),
        changed(sources=17),
        changed(name=""),
        changed(address="https://example.org/model"),
        changed(size_mb="large"),
        changed(score={"db": 22.4}),
        changed(score={"db": "22.4", "measure": "SI-SNRi", "data": "WSJ0-2mix"}),
        [ENTRIES[0], ENTRIES[0]],
    ],
    ids=lambda document: json.dumps(document)[-60:],
)
def test_what_is_not_exactly_a_catalogue_is_refused(document):
    with pytest.raises(VsatError, match="catalogue") as caught:
        read_catalogue(json.dumps(document).encode())
    assert caught.value.hint


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_in_our_words_or_an_empty_list(content):
    with contextlib.suppress(VsatError):
        assert read_catalogue(content) == []


def test_searching_loads_no_torch():
    code = (
        "import sys; from vsat.cli import main; code = main(['search', 'wham']);"
        "assert not {'torch', 'openvino'} & set(sys.modules), 'heavy'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sepformer-wham" in done.stdout
