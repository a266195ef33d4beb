"""Which texts a person would call the same, though a computer does not; and in what they differ."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal

_NUMBER = re.compile(r"\+?(0*)(\d{1,20}([.,]\d{1,20})?(e[+-]?\d{1,3})?)")


def visible(text: str) -> str:
    """Composed, of plain characters, without any that nobody sees, and with one space where there was any room."""
    return _seen(unicodedata.normalize("NFKC", text))


def _seen(text: str) -> str:
    seen = text if text.isascii() else "".join(char for char in text if unicodedata.category(char) != "Cf")
    return " ".join(seen.split())


def key(text: str) -> str:
    """The same for texts that differ in case, in how accents are encoded, or in what cannot be seen."""
    return visible(visible(text).casefold())


def id_key(text: str) -> str:
    """``key``, and the same for one number in two spellings: ``7`` and ``7.0``, but not ``007``, which is an id."""
    plain = key(text)
    number = _NUMBER.fullmatch(plain)
    return f"{number[1]}{Decimal(number[2].replace(',', '.')).normalize()}" if number else plain


def spelled_alike(texts: Iterable[str], same: Callable[[str], str]) -> list[list[str]]:
    """Groups of different texts with one key by ``same``, each sorted, the groups too."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in sorted(set(texts)):
        groups[same(text)].append(text)
    return sorted(group for group in groups.values() if len(group) > 1)


def difference(a: str, b: str) -> str:
    """In what two texts differ that are spelled alike."""
    one, other = (unicodedata.normalize("NFC", text) for text in (a, b))
    if one == other:
        return "in how accents are encoded"
    if _seen(one) == _seen(other):
        return "in spaces or characters that cannot be seen"
    if visible(a) == visible(b):
        return "in how characters are encoded"
    return "in case" if key(a) == key(b) else "in how a number is written"
