"""The log of a server: a line an answer, whole or not at all, and read back by line."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from populations import draw
from spira.base.errors import DataError
from spira.population.log import append, read_log, require_writable
from spira.population.people import Answered, AnsweredRecording


def answered(number: int = 0) -> Answered:
    person = draw(number, 1)[0]
    return Answered(
        package="a" * 64,
        inference=f"{number:032x}",
        day=date(2026, 11, 28),
        score=person.score,
        diagnosis=person.diagnosis,
        recordings=person.recordings,
    )


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(3):
        append(answered(number), path)
    assert list(read_log(path)) == [answered(number) for number in range(3)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(answered(number), path), range(100)))
    assert sorted(one.inference for one in read_log(path)) == [f"{number:032x}" for number in range(100)]


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    """Of a server that was killed as it wrote; the next line begins anew."""
    path = tmp_path / "log"
    append(answered(0), path)
    with path.open("ab") as file:
        file.write(b'{"schema_version":1,"pack')
    append(answered(1), path)
    lines = path.read_text().splitlines()
    assert [len(lines), Answered.model_validate_json(lines[2])] == [3, answered(1)]
    with pytest.raises(DataError, match=":2: "):
        list(read_log(path))


@pytest.mark.parametrize("change", [{"level_db": None}, {"level_db": 1e308}, {"more": 1.0}])
def test_statistics_that_are_not_whole_or_not_of_a_recording_are_refused(change: dict[str, float | None]) -> None:
    one = answered().recordings[0]
    wrong = {name: value for name, value in ((one.statistics or {}) | change).items() if value is not None}
    with pytest.raises(ValueError, match="statistics"):
        AnsweredRecording.model_validate(one.model_dump() | {"statistics": wrong})


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    append(answered(0), path)
    before, write = path.read_bytes(), os.write
    monkeypatch.setattr("spira.population.log.os.write", lambda file, line: write(file, line[:10]))
    with pytest.raises(OSError, match="no room for a line"):
        append(answered(1), path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}\n", "the line|Field required|package"),
        (b"nonsense\n", "Invalid JSON"),
        (b'{"cut": ', "was cut off"),
        (b" " * 2**20 + b"\n", "longer than any answer"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_not_shown(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "log"
    append(answered(), path)
    with path.open("ab") as file:
        file.write(line)
    with pytest.raises(DataError, match=rf":2: .*({said})") as refused:
        list(read_log(path))
    assert "nonsense" not in str(refused.value)


def test_a_file_that_cannot_be_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder that this server may write to"):
        require_writable(tmp_path / "none" / "log")
    with pytest.raises(DataError, match="spira serve --log"):
        list(read_log(tmp_path / "none"))
