"""`spira serve` as a process, with a real scorer: parity, bad files, kills, signals, the page in a browser."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bad_audio import ACCEPTED, LIMITS, crafted, mutated
from browser import CHROMIUM, Tab, tab
from packaged import Packaged
from served import MULTIPART, Served, ask, form, predict
from sounds import encoded, pcm, tones, wav
from spira.base.errors import DataError
from spira.package.golden import golden_recordings
from spira.population.in_use import observed
from spira.population.log import read_log
from spira.scorer.scorer import Heard, Scorer
from spira.server.journal import Journal
from tiny import ROOT
from untrained_package import write_package

SOUND = wav(pcm(tones(16000, seconds=3)))
MEGABYTES = 8


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("package"), LIMITS)


@pytest.fixture(scope="module")
def served(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that leave it as it was; it keeps numbers of what it answers."""
    folder = tmp_path_factory.mktemp("served")
    options = ("--port", "0", "--max-megabytes", str(MEGABYTES), "--log", str(folder / "answers"))
    with Served(package, folder, *options) as served:
        yield served


def test_a_score_over_http_is_the_scorers(served: Served, package: Path) -> None:
    """Bit for bit: golden recordings, formats that a browser or a telephone sends, alone and together."""
    recordings = [*golden_recordings().values(), SOUND]
    recordings += [encoded(tones(48000, 2, 2), 48000, "OGG", "OPUS"), encoded(tones(8000), 8000, "FLAC", "PCM_16")]
    with Scorer(package) as scorer:
        for one, other in zip(recordings, reversed(recordings), strict=True):
            files = {"sentence": one, "rhyme": other}
            got = predict(served.port, files)
            assert got.status == 200
            assert got.json == scorer(files).model_dump(mode="json")
    assert got.json["package"] == ask(served.port, "GET", "/version").json["package"]


def test_the_log_has_numbers_of_each_answer_and_nothing_else(served: Served, package: Path) -> None:
    """The golden recordings, by which it got ready, are not in it; a name that is no task is not kept."""
    got = predict(served.port, {"sentence": SOUND, "Maria Silva": SOUND, "rhyme": b"no sound"})
    alone = predict(served.port, {"Maria Silva": SOUND})
    path = served.log.with_name("answers")
    kept = {one.inference: one for one in read_log(path)}
    first, second = (kept[reply.headers["inference-id"]] for reply in (got, alone))
    assert [one.task for one in first.recordings] == ["sentence", "(other)", "rhyme"]
    assert [one.refused for one in first.recordings] == [None, "task", "undecodable"]
    assert (first.score, first.diagnosis) == (got.json["score"], got.json["diagnosis"])
    assert first.package == got.json["package"]
    with Scorer(package) as scorer:
        heard = scorer.hear_all({"sentence": SOUND})["sentence"]
        assert isinstance(heard, Heard)
        assert first.recordings[0] == second.recordings[0].model_copy(update={"task": "sentence"})
        assert first.recordings[0] == observed("sentence", heard, scorer.manifest)
    assert first.recordings[0].digest == sha256(heard.decoded.waveform.data).hexdigest()
    assert "Maria" not in path.read_text()
    assert "phone" not in path.read_text()  # a golden recording's name


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Scorer(package) as scorer:
        journal = Journal(scorer, Path("/dev/full"))
        assert journal({"sentence": SOUND}, "0" * 32) == scorer({"sentence": SOUND})
    assert "was not kept: No space left on device" in caplog.text
    with Scorer(package) as scorer, pytest.raises(DataError, match="name a file"):
        Journal(scorer, Path("/none/log"))


def test_no_bad_file_is_an_error_of_the_server(served: Served) -> None:
    """Every crafted file becomes what it may, by the code of its refusal; nothing but 200 comes back."""
    small = [file for file in crafted() if isinstance(file.made, bytes) and len(file.made) < MEGABYTES << 19]
    n = 0
    for pair in zip(small[::2], small[1::2], strict=False):
        files = dict(zip(("sentence", "rhyme"), pair, strict=True))
        got = predict(served.port, {name: bytes(file.made) for name, file in files.items()})  # type: ignore[arg-type]
        assert got.status == 200, pair
        for one in got.json["recordings"]:
            n += 1
            file = files[one["name"]]
            found = one["refused"]["code"] if one["refused"] else ACCEPTED
            assert found in file.may, f"{file.kind}: {file.name}: {one}"
            assert one["refused"] is None or one["diagnosis"] == "inconclusive"
    assert n > 250
    assert predict(served.port, {"sentence": SOUND}).json["recordings"][0]["score"] is not None


def test_no_mutation_is_an_error_of_the_server(served: Served) -> None:
    """Whole files with bytes changed; `python benchmarks/serve.py` sends more."""
    for name, content in mutated(60, seed=7):
        assert predict(served.port, {"sentence": content}).status == 200, name


def test_random_forms_get_an_answer_or_a_sentence(served: Served) -> None:
    """Bytes of a request's body changed at random: never 500, and never a broken connection."""
    whole, rng = form({"sentence": SOUND[:2000]}), np.random.default_rng(3)
    found = set()
    for _ in range(100):
        body = bytearray(whole)
        for place in rng.integers(len(body) if rng.random() < 0.3 else 200, size=3).tolist():
            body[place] = int(rng.integers(256))
        found.add(ask(served.port, "POST", "/v1/predict", bytes(body), MULTIPART).status)
    assert found <= {200, 413, 422}
    assert {200, 422} <= found


def test_a_killed_decoder_costs_nothing_but_itself(served: Served) -> None:
    """The next answers are right, and a connection that was open then still ends: no new decoder holds it."""
    right = predict(served.port, {"sentence": SOUND}).json
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as idle:
        before = served.children()
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        for _ in range(4):
            assert predict(served.port, {"sentence": SOUND}).json == right
        assert not {*before} & {*served.children()}
        assert idle.recv(100) == b""  # it was told nothing, and is hung up on


def test_its_log_has_statuses_and_no_word_of_what_was_sent(served: Served) -> None:
    """Neither a file's name nor a field's nor its content; an access log would have the query."""
    secret = b"maria-da-silva"
    body = form({secret.decode(): secret * 3}, f"{secret.decode()}.wav")
    assert ask(served.port, "POST", f"/v1/predict?{secret.decode()}", body, MULTIPART).status == 200
    assert ask(served.port, "GET", f"/{secret.decode()}").status == 404
    log = served.log.read_text()
    assert " INFO 200 in " in log
    assert secret.decode() not in log
    assert "127.0.0.1 " not in log


def test_a_full_disk_costs_no_answer(served: Served, package: Path) -> None:
    """Nothing of an answer is written anywhere; what the log cannot take is lost."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "spira", "serve", "--package", str(package), "--port", str(port)]
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=full, stderr=full)
    try:
        until = time.monotonic() + 120
        while not is_ready(port):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        files = {"sentence": SOUND}
        assert [predict(port, files).json for _ in range(3)] == 3 * [predict(served.port, files).json]
    finally:
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM


def is_ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/ready").status == 200
    except OSError:
        return False


@pytest.mark.long
def test_its_description_holds_for_whatever_is_sent(served: Served, tmp_path: Path) -> None:
    """Schemathesis, by the program that SPIRA_SCHEMATHESIS names: no status and no body but those described, no 500.

    One of its checks is left out: it sends a field of text where the description has a file, and takes 422 for wrong.
    """
    if not (program := os.environ.get("SPIRA_SCHEMATHESIS")):
        pytest.skip("SPIRA_SCHEMATHESIS names no program")
    command = [program, "run", f"http://127.0.0.1:{served.port}/openapi.json", "--seed", "1", "--max-examples", "300"]
    options = ("--exclude-checks", "positive_data_acceptance")
    ran = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_a_killed_server_leaves_neither_a_process_nor_its_port(package: Path, tmp_path: Path) -> None:
    """After ``kill -9`` another takes the port; on SIGTERM that one finishes what it began, and ends with 143."""
    with Served(package, tmp_path, "--port", "0", "--decoders", "3") as killed:
        port, decoders = killed.port, killed.children()
        assert len(decoders) == 3
        killed.end(signal.SIGKILL)
        until = time.monotonic() + 30
        while any(map(lives, decoders)):
            assert time.monotonic() < until
            time.sleep(0.05)
    with Served(package, tmp_path, "--port", str(port)) as served:
        decoders, body = served.children(), form({"sentence": SOUND})
        length = f"Content-Length: {len(body)}\r\n"
        kind = f"Content-Type: {MULTIPART['Content-Type']}\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=60) as sent:
            sent.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n{kind}{length}\r\n".encode() + body[:1000])
            time.sleep(0.5)  # so that the request has begun
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            sent.sendall(body[1000:])
            got = b"".join(iter(lambda: sent.recv(65536), b""))
        assert got.startswith(b"HTTP/1.1 200 ")
        assert b'"score":0.' in got
        assert served.process.wait(60) == 143
    assert not any(map(lives, decoders))


def lives(pid: int) -> bool:
    """Whether the process is there and has not ended; who adopts one that has may not look after it at once."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_package_or_a_port_that_cannot_be_used_is_one_sentence(served: Served, tmp_path: Path) -> None:
    """Status 1, before the package is loaded where the port is taken."""
    for options, why in (
        (("--package", str(tmp_path)), "DataError: .*SHA256SUMS: No such file"),
        (("--port", str(served.port)), f"DataError: --host 127.0.0.1 --port {served.port}: Address already in use"),
        (("--host", "0.0.0.0"), "DataError: --host 0.0.0.0: .*SPIRA_SERVE_TOKEN"),
    ):
        with pytest.raises(AssertionError, match=why):
            Served(tmp_path, tmp_path, *options)
        assert len((tmp_path / "serve.log").read_text().splitlines()) == 1


@pytest.mark.ml_test_score("Monitoring 3")
def test_it_gives_the_pipelines_scores(packaged: Packaged, tmp_path: Path) -> None:
    """Of each test clip, that of data/predictions.csv under ``clean``, within 1e-6: the mean over the trainings."""
    table = pl.read_csv(packaged.root / "data/predictions.csv")
    own = table.filter(model="pooled_cnn", condition="clean", subset="test")
    expected = dict(own.group_by("clip_id").agg(pl.col("score").mean()).rows())
    assert len(expected) == 6
    with Served(packaged.package("pooled_cnn"), tmp_path, "--port", "0") as served:
        for name, score in expected.items():
            got = predict(served.port, {"recording": (packaged.recordings / name).read_bytes()})
            assert abs(got.json["score"] - score) <= 1e-6, name


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_the_page_shows_waveform_score_band_and_refusal(served: Served, tmp_path: Path) -> None:
    """In a browser: two files are chosen, one of which is refused; then the microphone records a third."""
    (tmp_path / "sound.wav").write_bytes(SOUND)
    (tmp_path / "text.wav").write_text("no sound")
    asyncio.run(asyncio.wait_for(_try_page(served.port, tmp_path), 120))


async def _try_page(port: int, folder: Path) -> None:
    async with tab(f"http://127.0.0.1:{port}/", microphone=True) as page:
        await page.until("document.querySelectorAll('section[data-name]').length === 2")
        await page.choose("[data-name=sentence] input", folder / "sound.wav")
        await page.choose("[data-name=rhyme] input", folder / "text.wav")
        await page.until("document.querySelector('[data-name=sentence] .soft').textContent === '3.0 s'")
        assert await page.value(DRAWN) > 200
        await _score(page)
        assert await page.value("document.querySelector('[data-name=sentence] .answer').textContent.slice(-5) * 1") > 0
        assert await page.value("document.querySelectorAll('[data-name=sentence] .scale .band').length") == 1
        refused = await page.value("document.querySelector('[data-name=rhyme]').innerText")
        assert "No score: undecodable" in refused
        record = "document.querySelector('[data-name=rhyme] button').click()"
        await page.value(record)
        await page.until("document.querySelector('[data-name=rhyme] button').ariaPressed === 'true'")
        await asyncio.sleep(1.5)
        await page.value(record)
        await page.until("document.querySelector('[data-name=rhyme] button').ariaPressed === 'false'")
        await _score(page)
        assert await page.value("document.querySelector('[data-name=rhyme] .answer').textContent")
        assert [one for one in page.complaints if "'canceled': True" not in one] == []  # players of earlier recordings
        assert all(url.startswith((f"http://127.0.0.1:{port}/", "blob:")) for url in page.requested)


async def _score(page: Tab) -> None:
    await page.value("document.querySelector('#send').click()")
    await page.until("document.querySelectorAll('[data-name] .answer').length === 2")


DRAWN = """(() => { const c = document.querySelector('[data-name=sentence] canvas');
  const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  return p.filter((value, i) => i % 4 === 3 && value > 0).length })()"""
