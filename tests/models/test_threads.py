"""Work in threads gives the same results in the same order, whatever their number."""

from threading import get_ident
from time import sleep

import pytest
import torch

from spira.models.threads import in_threads, single_threaded

CPU = torch.device("cpu")


def thread_of_a_slow_piece(_: int) -> int:
    sleep(0.05)
    return get_ident()


@pytest.mark.usefixtures("two_threads")
def test_results_come_in_order_from_more_than_one_thread() -> None:
    """The first piece is the last to be done."""

    def slow(i: int) -> tuple[int, int]:
        sleep(0.05 * (3 - i))
        return i, get_ident()

    done = in_threads(slow, range(4), device=CPU)
    assert [i for i, _ in done] == [0, 1, 2, 3]
    assert len({thread for _, thread in done}) == 2


@pytest.mark.usefixtures("two_threads")
def test_a_thread_computes_by_itself_and_without_denormals() -> None:
    """As the main thread after ``prepare``: otherwise a number would depend on which thread it came from."""
    assert in_threads(lambda _: torch.get_num_threads(), range(2), device=CPU) == [1, 1]
    assert in_threads(lambda x: float(x / 10), [torch.tensor(1.2e-38)] * 2, device=CPU) == [0.0, 0.0]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_what_one_piece_raises_is_raised() -> None:
    """No piece fails in silence."""
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda x: 1 // x, [1, 0, 1], device=CPU)


@pytest.mark.usefixtures("two_threads")
def test_between_the_pieces_torch_computes_alone() -> None:
    """Its own threads, which wait by computing, take no core from ``in_threads``; after it all is as before."""
    for _ in single_threaded(range(2)):
        assert torch.get_num_threads() == 1
        assert len(set(in_threads(thread_of_a_slow_piece, range(2), device=CPU))) == 2
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_what_is_raised_between_the_pieces_leaves_the_threads_as_they_were() -> None:
    """The next epoch, or the next test, has them again; also from a loop within a loop."""

    def loops() -> None:
        for x in single_threaded([1, 0]):
            for _ in single_threaded(range(1)):
                assert len(set(in_threads(thread_of_a_slow_piece, range(2), device=CPU))) == 2
            assert 1 // x

    with pytest.raises(ZeroDivisionError):
        loops()
    assert torch.get_num_threads() == 2
    assert len(set(in_threads(thread_of_a_slow_piece, range(2), device=CPU))) == 2
