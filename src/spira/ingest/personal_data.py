"""What in a name or a field tells who somebody is: found by its form, and never repeated.

Found: CPF (by its check digits), CNS (the health card's number), Brazilian telephone numbers, e-mail addresses, whole
dates of birth, hospital numbers where they are called so, and names of people where two words of a field are common
given names or surnames. A form is no proof: an eleven-digit number is a CPF by chance once in a hundred.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

_GIVEN = """ana antonio carlos francisco joao jose lucas luiz luis marcos maria paulo pedro adriana aline amanda andre
antonia beatriz bruna bruno camila carla carolina claudia cristina daniel daniela eduardo elaine fabio felipe fernanda
fernando gabriel gabriela guilherme gustavo helena isabel joaquim julia juliana larissa leandro leticia luciana
manoel manuel marcelo marcia marcio mariana marta mateus matheus miguel natalia patricia priscila rafael raimundo
raquel regina renata ricardo roberto rodrigo rosa sandra sebastiao simone sonia tatiane terezinha thiago tiago
vanessa vera vinicius vitor viviane john mary james robert michael david""".split()  # noqa: SIM905
_SURNAMES = """almeida alves andrade araujo barbosa barros batista borges campos cardoso carvalho castro correia costa
cruz dias duarte fernandes ferreira freitas garcia gomes goncalves lima lopes machado marques martins medeiros melo
mendes miranda monteiro moraes moreira moura nascimento neves nogueira nunes oliveira pereira pinto ramos reis ribeiro
rocha rodrigues santana santos silva silveira siqueira smith soares souza sousa teixeira vieira xavier""".split()  # noqa: SIM905
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
NAME = "a person's name"  # or that of what is called after one
_CPF = re.compile(r"(?<!\d)\d{3}\.?\d{3}\.?\d{3}[-.]?\d{2}(?!\d)")
_CNS = re.compile(r"(?<!\d)[1-9]\d{2} ?\d{4} ?\d{4} ?\d{4}(?!\d)")
_COLUMNS = {  # what a column's name says of what is in it
    "names of people": r"(nome(_.*)?|name|(first|last|patient|speaker|full|user)_?name|sobrenome|surname|mae)",
    "numbers of documents": r"(cpf|rg|cns|sus|ssn|passport|documento)",
    "hospital numbers": r"(prontuario|registro|mrn|rgh|same|.*hospital.*(id|number|numero))",
    "dates of birth": r"(nascimento|data_(de_)?nascimento|dt_?nasc\w*|dob|birth\w*|date_of_birth)",
    "telephone numbers": r"(telefone|celular|phone\w*|mobile|whatsapp|fone)",
    "addresses": r"(endereco|address|cep|e-?mail|rua)",
}


def personal(text: str) -> str:
    """What the text seems to tell of a person, such as "a CPF"; "" where it tells nothing."""
    return next(map(taken_for, kinds(text)), "")


def kinds(text: str) -> Iterator[str]:
    """All that the text seems to tell of a person, what is surest first; then ``NAME`` and ``OLD_DATE``."""
    if any(_is_cpf(re.sub(r"\D", "", found)) for found in _CPF.findall(text)):
        yield "a CPF"
    if any(_is_cns(re.sub(r"\D", "", found)) for found in _CNS.findall(text)):
        yield "a health card's number"
    yield from (kind for kind, form in _FORMS.items() if form.search(text))
    if _is_name(text):
        yield NAME
    if _OLD_DATE.search(text):
        yield OLD_DATE


def taken_for(kind: str) -> str:
    """One of ``kinds``, as it is called where nobody knows better."""
    return "a date of birth" if kind == OLD_DATE else kind


def personal_column(name: str) -> str:
    """What a column of this name holds of people; "" where its name says nothing."""
    plain = _plain(name).strip().replace(" ", "_")
    return next((kind for kind, form in _COLUMNS.items() if re.fullmatch(form, plain)), "")


def shown(text: str) -> str:
    """How a message may quote it: as it is, unless it tells of a person."""
    kind = personal(text)
    return f"({kind}, not shown)" if kind else repr(text)


def pseudonym(text: str, key: bytes) -> str:
    """16 hexadecimal digits that nobody can lead back to the text without the key, and the same each time."""
    return hmac.digest(key, text.encode(), "sha256").hex()[:16]


def _is_cpf(digits: str) -> bool:
    if len(set(digits)) == 1:
        return False
    for n in (9, 10):
        rest = sum(int(digit) * (n + 1 - i) for i, digit in enumerate(digits[:n])) * 10 % 11 % 10
        if rest != int(digits[n]):
            return False
    return True


def _is_cns(digits: str) -> bool:
    return digits[0] in "12789" and sum(int(digit) * (15 - i) for i, digit in enumerate(digits)) % 11 == 0


def _is_name(text: str) -> bool:
    words = list(_words(text))
    return any(a in _GIVEN and (b in _GIVEN or b in _SURNAMES) for a, b in pairwise(words))


def _words(text: str) -> Iterator[str]:
    """Words of letters, of CamelCase too, less the small ones between names."""
    apart = re.sub(r"([a-zà-ÿ])([A-ZÀ-Þ])", r"\1 \2", text)
    yield from (
        word for word in re.findall(r"[a-z]+", _plain(apart)) if word not in ("da", "de", "do", "das", "dos", "e")
    )


def _plain(text: str) -> str:
    """Small letters without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
