"""Personal data in a name or a field, found by its form and never repeated.

Found: CPF and CNS (the health card's number) by their check digits, Brazilian telephone numbers, e-mail addresses,
whole dates of birth, hospital numbers where they are called so, and what may be a person's name: capitalised words in a
row. A form is no proof: an eleven-digit number is a CPF by chance once in a hundred, and places have capitals too. Nor
is its absence: a name in small letters or of one word is not found.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterator

from validate_docbr import CNS, CPF

_FORMS = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}"),
    "a telephone number": re.compile(
        r"(?<!\d)(?:(?:\+55[ ._-]?\(?\d{2}\)?|\(\d{2}\))[ ._-]?9?\d{4}[ ._-]?\d{4}|[1-9][1-9]9\d{8})(?!\d)"
    ),
    "a hospital number": re.compile(
        r"(?<![a-zà-ÿ])(?:(?:prontu[aá]rio|mrn|rgh|(?-i:SAME))[ :#._-]*\d{4}|registro[ :#._-]*[1-9]\d{4})",
        re.IGNORECASE,  # but for SAME, an archive, which `same_0001.wav` is not; and `registro_0001.wav` is a recording
    ),
    "a date of birth": re.compile(
        r"(?:(?:nasc|birth)\w*|(?<![a-zà-ÿ])(?:dn|dob))[ :#._-]*\d{1,4}[-/._]\d{1,2}[-/._]\d{2,4}",
        re.IGNORECASE,  # `wednesday_12_05_2020` has a dn in it
    ),
}
OLD_DATE = "a date before 2000"  # of a birth, or of a recording
_OLD_DATE = re.compile(
    r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])[-/._](?:0?[1-9]|1[0-2])[-/._]19\d\d(?!\d)"
    r"|(?<!\d)19\d\d[-/._](?:0[1-9]|1[0-2])[-/._](?:0[1-9]|[12]\d|3[01])(?!\d)"
)
NAME = "what may be a person's name"  # or that of a place
_NAME = re.compile(
    r"(?<![A-Za-zÀ-ý])[A-ZÀ-Þ][a-zà-ÿ]+(?:[ _](?:d[aeo]s?|e))?[ _][A-ZÀ-Þ][a-zà-ÿ]+(?![a-zà-ÿ])"  # Maria da Silva
    r"|(?<![A-Za-zÀ-ý])[A-ZÀ-Þ]{3,}(?:[ _](?:D[AEO]S?|E))?[ _][A-ZÀ-Þ]{3,}(?![A-Za-zÀ-ý])"
)
_CPF = re.compile(r"(?<!\d)\d{3}\.?\d{3}\.?\d{3}[-.]?\d{2}(?!\d)")
_CNS = re.compile(r"(?<!\d)[1-9]\d{2} ?\d{4} ?\d{4} ?\d{4}(?!\d)")
_COLUMNS = {  # the names of columns that hold personal data, by what they hold
    "names of people": r"(nome(_.*)?|name|(first|last|patient|speaker|full|user)_?name|sobrenome|surname|mae)",
    "numbers of documents": r"(cpf|rg|cns|sus|ssn|passport|documento)",
    "hospital numbers": r"(prontuario|registro|mrn|rgh|same|.*hospital.*(id|number|numero))",
    "dates of birth": r"(nascimento|data_(de_)?nascimento|dt_?nasc\w*|dob|birth\w*|date_of_birth)",
    "telephone numbers": r"(telefone|celular|phone\w*|mobile|whatsapp|fone)",
    "addresses": r"(endereco|address|cep|e-?mail|rua)",
}


def personal(text: str) -> str:
    """The surest kind of personal data in a text, such as "a CPF"; "" where there is none."""
    return next(map(taken_for, kinds(text)), "")


def kinds(text: str) -> Iterator[str]:
    """Every kind of personal data that the text seems to hold, the surest first; then ``NAME`` and ``OLD_DATE``."""
    text = unicodedata.normalize("NFKC", text)  # one spelling of accents and digits
    if any(map(CPF().validate, _CPF.findall(text))):
        yield "a CPF"
    if any(map(CNS().validate, _CNS.findall(text))):
        yield "a health card's number"
    yield from (kind for kind, form in _FORMS.items() if form.search(text))
    name, old_date = _NAME.search(text), _OLD_DATE.search(text)
    if name and old_date:
        yield "a date of birth"
    if name:
        yield NAME
    if old_date:
        yield OLD_DATE


def taken_for(kind: str) -> str:
    """The kind as a message names it where no column allows it: an old date is one of birth."""
    return "a date of birth" if kind == OLD_DATE else kind


def personal_column(name: str) -> str:
    """The personal data that a column of this name holds; "" where its name says nothing."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().strip().replace(" ", "_")
    return next((kind for kind, form in _COLUMNS.items() if re.fullmatch(form, plain)), "")


def shown(text: str, *, capitals: bool = False) -> str:
    """The text as a message may quote it: not where it seems to hold personal data.

    Args:
        capitals: quote capitalised words, as those of a place or of a column's name.
    """
    found = [taken_for(kind) for kind in kinds(text) if not (capitals and kind == NAME)]
    return f"({found[0]}, not shown)" if found else repr(text)


def pseudonym(text: str, key: bytes) -> str:
    """16 hexadecimal digits for a text, always the same, from which nobody finds it without the key."""
    return hmac.digest(key, text.encode(), "sha256").hex()[:16]
