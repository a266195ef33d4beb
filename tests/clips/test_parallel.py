"""Work in threads: the same results in the same order, and never much more of them than are wanted."""

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from spira.clips.parallel import n_cores, ordered_map, progress


@pytest.mark.parametrize("n_workers", [None, 1, 2, 3, 8])
@pytest.mark.parametrize("n_items", [0, 1, 2, 7, 100])
def test_results_come_in_the_order_of_the_work(n_workers: int | None, n_items: int) -> None:
    """Whichever is done first, and with any number of workers."""

    def work(item: int) -> int:
        time.sleep((item * 7 % 5) / 5000)
        return item * item

    assert list(ordered_map(work, range(n_items), n_workers)) == [item * item for item in range(n_items)]


def test_workers_work_at_once() -> None:
    """Two of them meet; one would wait for the other for ever."""
    meeting = threading.Barrier(2, timeout=10)
    assert sorted(ordered_map(lambda _: meeting.wait(), range(2), 2)) == [0, 1]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_exception_reaches_the_caller_after_the_results_before_it(n_workers: int) -> None:
    """A defect in the work is no result that is missing."""

    def work(item: int) -> int:
        if item == 5:
            raise ZeroDivisionError(f"item {item}")
        return item

    results = ordered_map(work, range(100), n_workers)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError, match="item 5"):
        next(results)


@pytest.mark.parametrize("n_workers", [1, 2, 4])
def test_little_is_done_ahead(n_workers: int) -> None:
    """A few results a worker are held, however long the list: the waveforms of a whole corpus need not fit."""
    begun = 0

    def items() -> Iterator[int]:
        nonlocal begun
        for item in range(10_000):
            begun += 1
            yield item

    results = ordered_map(lambda item: item, items(), n_workers)
    for done in range(1, 200):
        next(results)
        assert begun <= done + 4 * n_workers
    results.close()
    assert begun <= 200 + 4 * n_workers


def test_a_process_held_to_one_core_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cores that it may use are counted, not those that there are."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3}, raising=False)
    assert n_cores() == 1


def test_progress_passes_on_what_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    """In order, and without a line where it takes no time."""
    assert list(progress(iter("abc"), 3, "corpus")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, after the time that is set and not at each item."""
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("spira.clips.parallel.time.monotonic", lambda: next(clock))
    list(progress(range(9), 9, "corpus"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "corpus: 3 of 9"
    assert 1 < len(lines) < 9


def test_progress_is_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of what is worked through; and the items are passed on."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress(range(3), 3, "corpus")) == [0, 1, 2]
    assert "corpus:" in capsys.readouterr().err
