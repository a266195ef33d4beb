"""SplitMix64 and its compiled twin give the words of the published generator."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spira.models.cpu.splitmix import splitmix as compiled
from spira.models.dropout import GOLDEN, CpuGenerator, splitmix

WORDS = 2**64


def after(state: int, n: int) -> list[int]:
    """As Steele, Lea and Flood write it: one word after the other, in whole numbers."""
    words = []
    for _ in range(n):
        state = (state + GOLDEN) % WORDS
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORDS
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORDS
        words.append(z ^ (z >> 31))
    return words


def numpys(state: int, n: int) -> list[int]:
    return [int(word) % WORDS for word in splitmix(state, n)]


def numbas(state: int, n: int) -> list[int]:
    out = np.zeros(n, np.int64)
    compiled(np.uint64(state), out)
    return [int(word) for word in out.view(np.uint64)]


def test_they_draw_the_published_words() -> None:
    """What others' implementations print for the seed 1234567."""
    first = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert numpys(1234567, 5) == first == numbas(1234567, 5)


@given(state=st.integers(0, WORDS - 1), n=st.integers(0, 70))
def test_they_draw_the_same_in_vectors_as_one_by_one(state: int, n: int) -> None:
    """Of any state, and of a length that no vector divides; and the generator goes on where it stopped."""
    assert numpys(state, n) == numbas(state, n) == after(state, n)
    generator = CpuGenerator(state)
    assert generator.advance(n) == state
    assert numpys(generator.advance(3), 3) == after(state, n + 3)[n:]
