"""A corpus in tar shards is the corpus that was packed, byte for byte, or is refused with a sentence."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import polars as pl
import pytest
import soundfile

import bad_audio
from s3_servers import Server
from spira.base.errors import DataError
from spira.ingest import packing, sources, waveforms
from spira.ingest.acceptance import IngestParams
from spira.ingest.packed import MANIFEST, SCHEMA, VERSION, VERSION_KEY, open_folder
from spira.ingest.packing import pack
from spira.ingest.sources import read_bytes
from spira.population.in_use import recordings_in
from spira.stages import ingest, ingest_noise
from spira.storage import objects
from tiny import ROOT

pytestmark = pytest.mark.usefixtures("any_size")
P = IngestParams.model_validate(bad_audio.LIMITS)
RATE, N_CLIPS = 16_000, 12
ODD_NAMES = (
    unicodedata.normalize("NFD", "ação/é.wav"),  # as a Mac writes it, and the table does not
    "Dir/UPPER.WAV",  # the table has it in small letters
    f"deep/{'long' * 60}.wav",
    f"{'d' * 90}/{'e' * 90}/{'f' * 90}.wav",
)


def tone(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).integers(-9000, 9000, 17_600, np.int16), RATE, format="WAV")


def described(folder: Path, names: list[str]) -> Path:
    rows = [f'"{name}",{i % 2},s{i % 2}' for i, name in enumerate(names)]
    (folder / "metadata.csv").write_text("\n".join(["file_path,label,speaker_id", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus that has four tar shards or eight, and as many of waveforms."""
    monkeypatch.setattr(packing, "TAR_BYTES", 100_000)
    monkeypatch.setattr(waveforms, "SHARD_BYTES", 100_000)
    for i in range(N_CLIPS):
        tone(tmp_path / f"mine/{i}.wav", i)
    for i, name in enumerate(ODD_NAMES):
        tone(tmp_path / "mine" / name, 50 + i)
    told = [unicodedata.normalize("NFC", name).replace("UPPER.WAV", "upper.wav") for name in ODD_NAMES]
    return described(tmp_path / "mine", [*(f"{i}.wav" for i in range(N_CLIPS)), *told, "gone.wav", "deep"])


@pytest.fixture
def packed(mine: Path) -> Path:
    pack(mine, mine.with_name("packed"))
    return mine.with_name("packed")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def taken(folder: Path, p: IngestParams = P) -> dict[str, bytes]:
    """Every file that ingest writes of it."""
    out = folder.with_name(f"{folder.name} out")
    ingest.run(RATE, p, corpus=folder, out=out)
    return contents(out)


def test_data_clips_are_the_same(mine: Path, packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the names, the missing and a folder included; what is printed is the same but for where."""
    loose = taken(mine)
    said = capsys.readouterr().out
    assert taken(packed) == loose
    assert capsys.readouterr().out.replace("packed", "mine") == said
    assert len([name for name in loose if name.endswith(".npy")]) >= 4
    assert len(pl.read_csv(loose["clips.csv"])) == N_CLIPS + len(ODD_NAMES)
    assert b"a folder, not a file" in loose["rejects.csv"]


@pytest.mark.usefixtures("packed")
def test_a_worker_without_the_corpus_makes_the_same(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed, it is brought no more of a tar than its recordings; by S3, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    loose, server = taken(mine), Server("rclone", tmp_path / "store")
    for name in ("params.yaml", "requirements.txt"):
        shutil.copy(ROOT / name, name)
    environment = {"SPIRA_CLUSTER": "local:1", "SPIRA_CLUSTER_STORAGE": "s3://bucket/dvc", **server.key}
    for name, value in (environment | {"AWS_ENDPOINT_URL": server.url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "LARGEST_GAP", 0)
    try:
        assert taken(Path("packed")) == taken(Path("mine")) == loose
    finally:
        server.kill()


def test_every_crafted_file_becomes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 400 that somebody may bring: the same samples, or the same code and sentence."""
    monkeypatch.setenv("PATH", f"{ffmpeg(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    mine, names = tmp_path / "mine", []
    for i, file in enumerate(bad_audio.crafted()):
        path = file.write(mine / str(i))
        if path.is_symlink() or not path.is_file():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        elif path.stat().st_size > 10**7:
            path.unlink()
        elif '"' not in file.name:
            names.append(f"{i}/{file.name}")
    described(mine, names)
    pack(mine, tmp_path / "packed")
    assert len(names) > 350
    assert taken(mine) == taken(tmp_path / "packed")


def ffmpeg(at: Path) -> Path:
    """A folder with an ffmpeg."""
    (at / "bin").mkdir()
    (at / "bin/ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    return at / "bin"


def test_real_broken_files_become_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the shared corpus, with those that only ffmpeg reads."""
    shared = os.environ.get("SPIRA_CORPUS")
    if shared is None or not Path(shared, "broken").is_dir():
        pytest.skip(f"SPIRA_CORPUS={shared} does not name the shared corpus")
    monkeypatch.setenv("PATH", f"{ffmpeg(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    shutil.copytree(Path(shared, "broken"), tmp_path / "mine")
    names = [name.removeprefix("broken/") for name in pl.read_csv(tmp_path / "mine/metadata.csv")["file_path"]]
    described(tmp_path / "mine", names)
    pack(tmp_path / "mine", tmp_path / "packed")
    longer = P.model_copy(update={"max_seconds": 600.0, "max_frames": 30_000_000})
    loose = taken(tmp_path / "mine", longer)
    assert loose == taken(tmp_path / "packed", longer)
    assert b"aac_in_m4a" in loose["clips.csv"]


def test_noise_is_the_same(mine: Path, packed: Path, tmp_path: Path) -> None:
    """A folder of noise is read by the same rules."""
    for folder in (mine, packed):
        ingest_noise.run(RATE, P, noise_corpus=folder, out=tmp_path / f"{folder.name} noise")
    assert contents(tmp_path / "mine noise") == contents(tmp_path / "packed noise")


def test_files_and_members_are_one_corpus(mine: Path, packed: Path) -> None:
    """New recordings may lie beside the tar shards; one that is both is refused."""
    for folder in (mine, packed):
        tone(folder / "new/one.wav", 99)
        with (folder / "metadata.csv").open("a") as table:
            table.write("new/one.wav,1,s1\n")
    assert taken(mine) == taken(packed)
    tone(packed / "3.wav", 3)
    with pytest.raises(DataError, match=r"packed: 1 recordings are both files and members .* such as '3\.wav'"):
        taken(packed)


def test_recordings_in_use_are_read_too(mine: Path, packed: Path) -> None:
    """With a table and without one: the same names, speakers and bytes."""
    for _ in range(2):
        loose, members = recordings_in(mine), recordings_in(packed)
        assert [row.name for row in loose.rows] == [row.name for row in members.rows]
        assert [read_bytes(row.source) for row in loose.rows if row.name not in ("gone.wav", "deep")] == [
            read_bytes(row.source) for row in members.rows if row.name not in ("gone.wav", "deep")
        ]
        assert len(loose.rows) >= N_CLIPS + len(ODD_NAMES)
        for folder in (mine, packed):
            (folder / "metadata.csv").unlink(missing_ok=True)


def test_the_same_files_give_the_same_bytes(mine: Path, packed: Path, tmp_path: Path) -> None:
    """In any process and order of making, with any times; and the folder stays as it was."""
    before = contents(mine)
    for path in sorted(mine.rglob("*.wav"), reverse=True):
        path.write_bytes(before[path.relative_to(mine).as_posix()])
        path.chmod(0o600)
    run = [sys.executable, "-c", f"from spira.ingest import packing; packing.TAR_BYTES = {packing.TAR_BYTES}; "]
    run[-1] += "from pathlib import Path; import sys; packing.pack(*map(Path, sys.argv[1:]))"
    command = [*run, str(mine), str(tmp_path / "again")]
    subprocess.run(command, check=True, env=os.environ | {"POLARS_MAX_THREADS": "1", "TZ": "Asia/Tokyo"})
    assert contents(tmp_path / "again") == contents(packed)
    assert contents(mine) == before


def test_a_long_member_takes_no_memory(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its copy lies on the disk, without a name, and the rest is the same; no limit on memory would count a memfd."""

    def none(_: str) -> int:
        raise AssertionError("a member was copied to memory")

    before = taken(packed)
    monkeypatch.setattr(sources, "_IN_MEMORY", 0)
    monkeypatch.setattr(os, "memfd_create", none)
    assert taken(packed) == before


def test_what_a_killed_run_of_more_files_left_is_no_part_of_a_pack(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".unfinished").mkdir(parents=True)
    for left in ("shard-000099.tar", "shard-000099.tar.part"):
        (out / left).touch()
    pack(mine, out)
    assert not list(out.glob("*99*"))
    assert open_folder(out).files()


def test_a_folder_of_any_name_holds_a_pack(packed: Path) -> None:
    """Polars reads ``[`` as a pattern where it is not told otherwise."""
    odd = packed.rename(packed.with_name("[v2] *"))
    assert open_folder(odd).members


def test_the_shards_are_plain_tars(mine: Path, packed: Path) -> None:
    """Any tar reads them: each file once, in the order of names, with no owner and no time."""
    found: dict[str, bytes] = {}
    for path in sorted(packed.glob("*.tar")):
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            assert [member.name for member in members] == sorted(member.name for member in members)
            assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
            found |= {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    expected = contents(mine)
    del expected["metadata.csv"]
    assert found == expected
    folder = open_folder(packed)
    assert {name: read_bytes(folder.source(name)) for name in folder.members} == expected
    assert (packed / "metadata.csv").read_bytes() == (mine / "metadata.csv").read_bytes()
    assert {path.name for path in packed.iterdir()} == {
        *(path.name for path in packed.glob("shard-??????.tar")),
        MANIFEST,
        "metadata.csv",
    }


def test_one_recording_more_changes_one_shard(mine: Path, packed: Path, tmp_path: Path) -> None:
    """So that a remote is sent one tar, and not the corpus."""
    tone(mine / "!.wav", 99)
    pack(mine, tmp_path / "grown")
    old, new = contents(packed), contents(tmp_path / "grown")
    assert old.keys() == new.keys()
    assert len([name for name in new if name.endswith(".tar") and new[name] != old[name]]) == 1


_SLOW = """
import sys, time
from pathlib import Path
from spira.ingest import packing
packing.TAR_BYTES = 100_000
append = packing._append
packing._append = lambda *given: (time.sleep(0.1), append(*given))[1]
packing.pack(*map(Path, sys.argv[1:]))
"""


def test_a_killed_run_goes_on_at_its_shard(mine: Path, packed: Path, tmp_path: Path) -> None:
    """What was finished is not made again; the bytes are those of a run from end to end. Till then it is no corpus."""
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", _SLOW, str(mine), str(out)])
    until = monotonic() + 60
    while len(list(out.glob(".unfinished/*.json"))) < 2 or not list(out.glob("*.part")):
        assert process.poll() is None
        assert monotonic() < until
        sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {note.stem: (out / note.stem).with_suffix(".tar").stat().st_ino for note in out.glob(".unfinished/*")}
    assert 2 <= len(finished) < len(list(packed.glob("*.tar")))
    with pytest.raises(DataError, match=r"manifest\.parquet: no such file, but there is shard-.*`spira pack` ended"):
        open_folder(out)
    pack(mine, out)
    assert contents(out) == contents(packed)
    assert {name: (out / name).with_suffix(".tar").stat().st_ino for name in finished} == finished


def test_a_killed_run_does_not_go_on_with_other_files(mine: Path, tmp_path: Path) -> None:
    """A recording that changed since is packed as it is now, and a tar that was cut short is made again."""
    pack(mine, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:  # ended when all but the manifest is written
        patch.setattr(pl.DataFrame, "write_parquet", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(mine, out)
    tone(mine / "3.wav", 77)
    tar = min(out.glob("*.tar"))
    os.truncate(tar, tar.stat().st_size - 512)
    pack(mine, out)
    pack(mine, tmp_path / "now")
    assert contents(out) == contents(tmp_path / "now") != contents(tmp_path / "whole")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def rewritten(change: Callable[[pl.DataFrame], pl.DataFrame], version: str = VERSION) -> Callable[[Path], None]:
    """Writes the manifest anew with other rows."""

    def write(folder: Path) -> None:
        table = change(pl.read_parquet(folder / MANIFEST))
        table.write_parquet(folder / MANIFEST, metadata={VERSION_KEY: version})

    return write


def first(column: str, value: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda table: table.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(value).otherwise(pl.col(column)).alias(column)
    )


def a_tar(folder: Path) -> Path:
    return min(folder.glob("*.tar"))


def changed_byte(folder: Path) -> None:
    row = pl.read_parquet(folder / MANIFEST).row(0, named=True)
    content = bytearray((folder / row["shard"]).read_bytes())
    content[row["offset"] + row["n_bytes"] // 2] ^= 1
    (folder / row["shard"]).write_bytes(content)


def other_tar(folder: Path) -> None:
    """As long, with no such members."""
    a_tar(folder).write_bytes(bytes(a_tar(folder).stat().st_size))


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated tar": (lambda at: os.truncate(a_tar(at), 3000), r"\.tar: must have \d+ bytes at least, got 3000"),
    "missing tar": (lambda at: a_tar(at).unlink(), r"\.tar: no such file, but manifest\.parquet lists its recordings"),
    "unlisted tar": (lambda at: (at / "shard-000099.tar").touch(), r"shard-000099\.tar: manifest.* lists none"),
    "no manifest": (lambda at: (at / MANIFEST).unlink(), r"manifest\.parquet: no such file, but there is shard-"),
    "cut manifest": (lambda at: os.truncate(at / MANIFEST, 900), r"manifest\.parquet: must be the manifest that"),
    "other version": (rewritten(lambda table: table, "2"), r"must be a manifest of version 1, got 2"),
    "other columns": (rewritten(lambda table: table.drop("sha256")), r"must be a manifest of version 1"),
    "no rows": (rewritten(lambda table: table.clear()), r"every row must name a recording in full"),
    "a blank": (rewritten(first("sha256", pl.lit(None, pl.String))), r"every row must name a recording in full"),
    "member twice": (rewritten(lambda table: pl.concat([table, table[:1]])), r"name each recording once, got '0\.wav'"),
    "outside": (
        rewritten(first("file_path", pl.lit("../x.wav"))),
        r"lie inside the corpus's folder, got '\.\./x\.wav'",
    ),
    "absolute": (rewritten(first("file_path", pl.lit("/x.wav"))), r"lie inside the corpus's folder, got '/x\.wav'"),
    "tar outside": (rewritten(first("shard", pl.lit("../shard-000000.tar"))), r"inside the corpus's folder"),
    "before": (rewritten(first("offset", pl.lit(0))), r"a place of its own in its tar, got '0\.wav' at byte 0"),
    "beyond counting": (rewritten(first("offset", pl.lit(2**63 - 1000))), r"a place of its own in its tar"),
    "too long": (rewritten(first("n_bytes", pl.lit(2**62))), r"a place of its own in its tar"),
    "another's name": (rewritten(lambda table: table.with_columns(pl.col("file_path").reverse())), r"no such member"),
    "negative": (rewritten(first("n_bytes", pl.lit(-1))), r"a place of its own in its tar"),
    "overlap": (rewritten(first("n_bytes", pl.col("n_bytes") + 10**5)), r"a place of its own|must have \d+ bytes"),
    "changed byte": (changed_byte, r"\.tar: bytes \d+ to \d+ are not those that were packed"),
    "another tar": (other_tar, r"\.tar: bytes \d+ to \d+ must be a recording.* no such member there"),
    "moved": (rewritten(first("offset", pl.col("offset") + 1)), r"no such member there"),
    "shorter": (rewritten(first("n_bytes", pl.col("n_bytes") - 2)), r"no such member there"),
    "another hash": (rewritten(first("sha256", pl.lit("0" * 64))), r"are not those that were packed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_manifest_that_does_not_fit_is_refused(packed: Path, fault: str) -> None:
    """In one sentence, and no table of clips is written: what cannot be trusted is not taken for a bad recording."""
    damage, said = FAULTS[fault]
    damage(packed)
    with pytest.raises(DataError, match=said) as error:
        taken(packed)
    assert "\n" not in str(error.value)
    assert not (packed.with_name("packed out") / "clips.csv").exists()


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.wav")
    return folder


def a_link(folder: Path) -> Path:
    (folder / "a.wav").symlink_to("nowhere")
    return folder


def a_linked_folder(folder: Path) -> Path:
    (folder / "again").symlink_to(folder)
    return folder


def nothing_else(folder: Path) -> Path:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        elif path.name != "metadata.csv":
            path.unlink()
    return folder


def no_table(folder: Path) -> Path:
    (folder / "metadata.csv").unlink()
    return folder


def a_name(folder: Path) -> Path:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.wav")).touch()
    return folder


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (a_pipe, "'a.wav' must be a file, and is a link or a device"),
        (a_link, "'a.wav' must be a file, and is a link or a device"),
        (a_linked_folder, "'again' must be a file, and is a link or a device"),
        (nothing_else, "has no file beside metadata.csv"),
        (no_table, "no such file; a corpus is a folder with metadata.csv"),
        (a_name, "names must be UTF-8"),
    ],
)
def test_what_cannot_be_packed_is_refused(mine: Path, tmp_path: Path, made: Callable[[Path], Path], said: str) -> None:
    """Before a byte is written, by name."""
    with pytest.raises(DataError, match=said):
        pack(made(mine), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(mine: Path, packed: Path, tmp_path: Path) -> None:
    """Not a corpus that is packed, nor other files, nor the folder itself."""
    before = contents(packed)
    for folder, out, said in (
        (mine, packed, "is packed already; remove it first"),
        (packed, tmp_path / "twice", "is packed already, for it has a manifest"),
        (mine, mine / "inside", "must lie outside of"),
        (packed, mine, "is packed already"),
    ):
        with pytest.raises(DataError, match=said):
            pack(folder, out)
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/letter").touch()
    with pytest.raises(DataError, match="must be empty, or not there"):
        pack(mine, tmp_path / "mail")
    assert contents(packed) == before


def test_a_file_that_grows_while_it_is_packed_is_refused(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its header in the tar has been written with another length."""
    monkeypatch.setattr(packing, "_listed", grown(packing._listed, mine / "3.wav"))
    with pytest.raises(DataError, match=r"3\.wav: changed while it was packed; run it again"):
        pack(mine, tmp_path / "out")


def grown(listed: Callable[[Path], list[packing.Listed]], path: Path) -> Callable[[Path], list[packing.Listed]]:
    def listing(folder: Path) -> list[packing.Listed]:
        found = listed(folder)
        with path.open("ab") as file:
            file.write(b"more")
        return found

    return listing


def test_the_manifest_has_what_its_page_says(packed: Path) -> None:
    """Its columns, and of each member the hash of its file."""
    table = pl.read_parquet(packed / MANIFEST)
    assert dict(table.schema) == SCHEMA
    assert table["file_path"].is_sorted()
    for row in table.iter_rows(named=True):
        content = (packed / row["shard"]).read_bytes()[row["offset"] : row["offset"] + row["n_bytes"]]
        assert sha256(content).hexdigest() == row["sha256"]
