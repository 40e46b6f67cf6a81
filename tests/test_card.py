"""What a model's card says, and what a hostile one can't do."""

import pytest

pytest.importorskip("yaml")

from vsat.convert.card import MAX_BLOCK_CHARACTERS, CardFacts, read_card

ASTEROID = """---
tags:
- asteroid
- audio
- ConvTasNet
- audio-to-audio
datasets:
- Libri2Mix
- sep_clean
license: cc-by-sa-4.0
library_name: asteroid
---

## A made-up model for the tests

It was trained on the `sep_clean` task of the Libri2Mix dataset.

Training config:

```yml
data:
  n_src: 2
  sample_rate: 16000
  segment: 3
filterbank:
  kernel_size: 32
```
"""

SPEECHBRAIN = """---
language: "en"
tags: [Source Separation, Speech Separation, Audio Source Separation, SepFormer]
license: "apache-2.0"
datasets:
- WSJ0-3Mix
---
# A made-up SepFormer
The system expects input recordings sampled at 8kHz (single channel).
"""


def test_a_card_of_asteroid():
    facts = read_card(ASTEROID)
    assert facts.licence.value == "cc-by-sa-4.0"
    assert facts.licence.found_in == "license in the card's block of YAML"
    assert (facts.sample_rate.value, facts.sources.value) == (16_000, 2)
    assert facts.sample_rate.found_in == "sample_rate in the card's text"
    assert facts.sources.found_in == "n_src in the card's text"
    assert facts.library.value == "asteroid"
    assert "ConvTasNet" in facts.tags


def test_a_card_of_speechbrain_says_it_in_words():
    facts = read_card(SPEECHBRAIN)
    assert facts.licence.value == "apache-2.0"
    assert (facts.sample_rate.value, facts.sources.value) == (8_000, 3)
    assert facts.sample_rate.found_in == "8 kHz in the card's text"
    assert "WSJ0-3Mix" in facts.sources.found_in


def test_windows_line_ends_and_a_mark_at_the_begin_change_nothing():
    assert read_card("\ufeff" + ASTEROID.replace("\n", "\r\n")) == read_card(ASTEROID)


def test_the_block_goes_before_the_text():
    facts = read_card("---\nsample_rate: 8000\nn_src: 3\n---\nsample_rate: 16000\nn_src: 2\n")
    assert (facts.sample_rate.value, facts.sources.value) == (8_000, 3)
    assert "block" in facts.sample_rate.found_in


@pytest.mark.parametrize(
    "text",
    [
        "", "# No facts", "sampled at 8 kHz or at 16 kHz", "sample_rate: 8000\nsample_rate: 16000",
        "sample_rate: 1", "sample_rate: 99999999999", "n_src: 500", "n_src: -2", "999kHz",
        "---\nlicense: [[]]\ntags: {a: b}\n---\n", "---\n- a list\n---\n", "---\nlicense: mit\n",
        "---\nlicense: {mit: 1}\nsample_rate: [16000.0, x]\n---\n", "---\n: : :\n\t- x\n---\n",
        "---\nlicense: " + "x" * 200 + "\n---\n", '---\nlicense: "a\\x1b[2J"\n---\n',
    ],
)  # fmt: skip
def test_what_is_not_said_or_not_clear_is_not_made_up(text):
    assert read_card(text) == CardFacts()


def test_a_licence_of_its_own_is_named():
    facts = read_card("---\nlicense: other\nlicense_name: my-terms\n---\n")
    assert (facts.licence.value, facts.licence.found_in[:12]) == ("my-terms", "license_name")
    assert read_card("---\nlicense: other\n---\n").licence.value == "other"
    assert read_card("---\nlicense:\n- mit\n- gpl-3.0\n---\n").licence.value == "mit"


# Hostile ones.


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {path}']",
        "!!python/object/new:os.system ['touch {path}']",
        "!!python/name:os.system",
        "!!python/module:antigravity",
        "!new:pathlib.Path.touch ['{path}']",
        "!apply:os.system ['touch {path}']",
        "!include {path}",
    ],
)
def test_tags_do_nothing(tag, tmp_path):
    path = tmp_path / "touched"
    card = f"---\nlicense: mit\nsample_rate: 8000\nextra: {tag.format(path=path)}\n---\n"
    facts = read_card(card)
    assert facts.licence.value == "mit"
    assert facts.sample_rate.value == 8_000
    assert not path.exists()


def laughs():
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join([*lines, "tags: *a11", "license: *a11"])


@pytest.mark.parametrize(
    "block",
    [
        laughs(), "a: &a [*a]\ntags: *a", "[" * 8_000, "{a: " * 4_000, "n_src: " + "9" * 9_000,
        "? " * 5_000, "- " * 5_000, "a: " + "1:" * 7_000 + "1", "!" * 9_000, "&a " * 5_000,
        "sample_rate: !!python/object/apply:os._exit [7]", "x" * (MAX_BLOCK_CHARACTERS + 1),
    ],
    ids=range(12),
)  # fmt: skip
def test_bombs_end_and_say_nothing(block):
    assert read_card(f"---\n{block}\n---\n") == CardFacts()


@pytest.mark.parametrize(
    "text", ["sample_rate" * 100_000, " " * 500_000, "1" * 500_000, "- " * 250_000, "\n" * 500_000]
)
def test_long_texts_do_no_harm(text):
    assert read_card(text) == CardFacts()
