"""Texts that a person would call the same though a computer does not, and how they differ."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal

_AS_TEXT = re.compile(r"^(?:'(.+)|=\"(.+)\")$")
_NUMBER = re.compile(r"\+?(0*)(\d{1,20}([.,]\d{1,20})?(e[+-]?\d{1,3})?)")


def visible(text: str) -> str:
    """The text in plain composed characters, without invisible ones, with one space for any white space."""
    return _without_invisible(unicodedata.normalize("NFKC", text))


def _without_invisible(text: str) -> str:
    seen = text if text.isascii() else "".join(char for char in text if unicodedata.category(char) != "Cf")
    return " ".join(seen.split())


def key(text: str) -> str:
    """One key for texts that differ only in case, in how accents are encoded, or in what cannot be seen."""
    return visible(visible(text).casefold())


def id_key(text: str) -> str:
    """``key``, with one value too for ids that a spreadsheet or a person writes in two ways.

    So are ``7`` and ``7.0``, but not ``007``, which is another id; ``'7`` and ``="7"``, by which one tells
    a spreadsheet that it is text; and ``P-07``, ``P 07`` and ``P07``.
    """
    plain = _AS_TEXT.sub(r"\1\2", key(text))
    plain = re.sub(r"(?<=[^\W\d_])[ _\u2010-\u2015-]+(?=\d)", "", plain)
    number = _NUMBER.fullmatch(plain)
    return f"{number[1]}{Decimal(number[2].replace(',', '.')).normalize()}" if number else plain


def spelled_alike(texts: Iterable[str], same: Callable[[str], str]) -> list[list[str]]:
    """Groups of different texts that share a key ``same(text)``; sorted, and each group too."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in sorted(set(texts)):
        groups[same(text)].append(text)
    return sorted(group for group in groups.values() if len(group) > 1)


def difference(a: str, b: str) -> str:
    """How two texts with one key differ, in words."""
    one, other = (unicodedata.normalize("NFC", text) for text in (a, b))
    if one == other:
        return "in how accents are encoded"
    if _without_invisible(one) == _without_invisible(other):
        return "in spaces or characters that cannot be seen"
    if visible(a) == visible(b):
        return "in how characters are encoded"
    if key(a) == key(b):
        return "in case"
    numbers = all(_NUMBER.fullmatch(key(text)) for text in (a, b))
    return "in how a number is written" if numbers else "in marks before or between letters and digits"
