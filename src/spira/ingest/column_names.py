"""Column names of metadata.csv: those that are read, by our names, and a message on those that are not."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from spira.clips.spelling import key
from spira.ingest.personal_data import shown

SPIRA_NAMES = {"class": "label", "sexo": "sex", "idade": "age"}
OPTIONAL = ("speaker_id", "sex", "age", "site", "device", "recorded_on", "spo2", "task", "split")
USED = ("file_path", "label", *OPTIONAL)
NOISE_USED = ("file_path", "source")  # of a corpus of noise
_OTHER_NAMES = {  # in forms and other corpora: suggested in a message, and not read, for nobody knows what they hold
    **dict.fromkeys(("arquivo", "filename", "file", "audio", "path", "wav"), "file_path"),
    **dict.fromkeys(("classe", "grupo", "group", "diagnosis", "diagnostico"), "label"),
    **dict.fromkeys(
        ("subject", "participant", "participante", "falante", "locutor", "paciente", "record"), "speaker_id"
    ),
    **dict.fromkeys(("subject_id", "participant_id", "patient_id", "record_id", "id"), "speaker_id"),
    **dict.fromkeys(("gender", "genero", "gênero"), "sex"),
    **dict.fromkeys(("hospital", "local"), "site"),
    **dict.fromkeys(("date", "data", "timestamp", "carimbo"), "recorded_on"),
    **dict.fromkeys(("saturacao", "saturação", "spo"), "spo2"),
    **dict.fromkeys(("aparelho", "celular", "microfone"), "device"),
    **dict.fromkeys(("subset", "conjunto", "particao", "partição"), "split"),
}
_MOST_NAMED = 10


def our_names(header: Sequence[str]) -> list[str]:
    """The header with our name for each column that is read: ``Speaker ID`` is ``speaker_id``.

    Where a table has both a name of SPIRA's and ours, ours is read.
    """
    plain = [_plain(name).replace("_", "") for name in header]  # SpeakerID, too
    known = {ours.replace("_", ""): ours for ours in (*USED, *NOISE_USED)}
    known |= {name: ours for name, ours in SPIRA_NAMES.items() if ours not in plain}
    return [known.get(word, name) for word, name in zip(plain, header, strict=True)]


def repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once, sorted; columns without a name do not count."""
    return sorted(name for name, count in Counter(names).items() if count > 1 and name)


def unread(names: Sequence[str]) -> str:
    """The columns that are not read, each with the known name that was probably meant; "" where all are read.

    Args:
        names: from ``our_names``.
    """
    others = [name for name in names if name and name not in USED]
    said = [shown(name, capitals=True) + _meant(name, names) for name in others[:_MOST_NAMED]]
    more = [f"and {len(others) - _MOST_NAMED} more"] if len(others) > _MOST_NAMED else []
    return ", ".join(said + more)


def _meant(name: str, names: Sequence[str]) -> str:
    known, plain = {ours: ours for ours in USED} | SPIRA_NAMES | _OTHER_NAMES, _plain(name)
    parts = [part for part in (plain, *plain.split("_")) if part in known]
    close = parts or get_close_matches(plain, known, n=1, cutoff=0.7)
    return f" (did you mean {known[close[0]]}?)" if close and known[close[0]] not in names else ""


def _plain(name: str) -> str:
    return re.sub("[ _-]+", "_", key(name))
