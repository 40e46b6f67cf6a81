"""Windows and their joining: what goes in comes out, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsat.audio.chunks import Stitcher, best_order, crossfade, windows


def join(pieces, length, overlap, separate):
    stitcher = Stitcher()
    out = [
        stitcher.add(separate(number, window.samples), window.overlap, overlap)
        for number, window in enumerate(windows(pieces, length, overlap))
    ]
    return np.concatenate([*out, stitcher.finish()], axis=1)


def cut(signal, sizes):
    begin = 0
    for size in sizes:
        yield signal[begin : begin + size]
        begin += size
    yield signal[begin:]


@settings(deadline=None)
@given(
    n=st.integers(1, 700),
    sizes=st.lists(st.integers(0, 300), max_size=6),
    length=st.integers(2, 200),
    share=st.floats(0, 0.99),
)
def test_a_model_that_copies_gives_back_the_stream(n, sizes, length, share):
    overlap = min(int(length * share), length - 1)
    signal = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    joined = join(cut(signal, sizes), length, overlap, lambda _, x: np.stack([x, -2 * x]))
    np.testing.assert_allclose(joined, np.stack([signal, -2 * signal]), atol=1e-6)


def test_every_window_is_full_length_and_the_last_reaches_back():
    signal = np.arange(1000, dtype=np.float32)
    cut_up = list(windows([signal], 300, 100))
    assert [len(window.samples) for window in cut_up] == [300] * 5
    assert [window.samples[0] for window in cut_up] == [0, 200, 400, 600, 700]
    assert [window.overlap for window in cut_up] == [0, 100, 100, 100, 200]


def test_a_stream_of_nothing_has_no_windows():
    assert list(windows([np.zeros(0, np.float32)], 10, 2)) == []


def test_an_overlap_as_long_as_the_window_is_refused():
    with pytest.raises(ValueError, match="overlap"):
        list(windows([np.zeros(9, np.float32)], 4, 4))


def test_sources_that_change_places_between_windows_are_put_back():
    random = np.random.default_rng(1)
    first, second = random.standard_normal((2, 2000)).astype(np.float32)
    voices = {"n": 0}

    def swapping(number, _):
        start = min(number * 300, 2000 - 500)
        pair = np.stack([first, second])[:, start : start + 500]
        voices["n"] += 1
        return pair[::-1] if number % 2 else pair

    joined = join([first + second], 500, 200, swapping)
    assert voices["n"] > 3
    np.testing.assert_allclose(joined, np.stack([first, second]), atol=1e-5)


def test_best_order_on_an_example_that_is_not_its_own_inverse():
    before = np.eye(3, 8, dtype=np.float32)
    after = before[[1, 2, 0]]
    order = best_order(before, after)
    assert order == [2, 0, 1]
    np.testing.assert_array_equal(after[order], before)


def test_many_sources_are_ordered_too():
    before = np.eye(8, dtype=np.float32)
    shuffled = np.random.default_rng(0).permutation(8)
    np.testing.assert_array_equal(before[shuffled][best_order(before, before[shuffled])], before)


def test_silence_keeps_the_present_order():
    assert best_order(np.zeros((2, 9)), np.zeros((2, 9))) == [0, 1]


def test_crossfade_begins_with_one_and_ends_with_the_other():
    faded = crossfade(np.zeros((1, 100), np.float32), np.ones((1, 100), np.float32))[0]
    assert (faded[:25] == 0).all()
    assert (faded[75:] == 1).all()
    assert (np.diff(faded) >= 0).all()
