"""Progress: reports, parts of a longer work, and the request to stop."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsat.errors import Cancelled
from vsat.progress import Cancel, duration_text, part_of, silent, stoppable


def test_silent_takes_any_report():
    silent(1, 2)
    silent(0, 0)


def test_work_stops_at_the_first_report_after_cancel_was_asked():
    cancel = Cancel()
    seen: list[tuple[float, float]] = []
    report = stoppable(lambda done, total: seen.append((done, total)), cancel)
    report(1, 3)
    cancel.ask()
    with pytest.raises(Cancelled) as caught:
        report(2, 3)
    assert seen == [(1, 3)]
    assert caught.value.hint


def test_cancel_asked_in_another_thread_is_heeded():
    cancel = Cancel()
    thread = threading.Thread(target=cancel.ask)
    thread.start()
    thread.join()
    assert cancel.asked
    with pytest.raises(Cancelled):
        cancel.check()


def test_check_passes_while_nobody_asked():
    cancel = Cancel()
    cancel.check()
    assert not cancel.asked


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-10, 1e9), st.floats(-1, 1e9))
def test_a_part_stays_within_its_bounds(one, other, done, total):
    begin, end = sorted((one, other))
    seen = []
    part_of(lambda *report: seen.append(report), begin, end)(done, total)
    [(fraction, whole)] = seen
    assert whole == 1.0
    assert begin <= fraction <= end + 1e-12


def test_parts_in_sequence_cover_the_whole():
    seen: list[float] = []

    def progress(done, total):
        seen.append(done / total)

    for index in range(4):
        report = part_of(progress, index / 4, (index + 1) / 4)
        report(0, 7)
        report(7, 7)
    assert seen == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (-1, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3 * 3600 + 59.9 * 60, "4 h 00 min"),
    ],
)
def test_durations_never_show_sixty(seconds, text):
    assert duration_text(seconds) == text
