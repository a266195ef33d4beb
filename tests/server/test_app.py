"""The application around a scorer that a test holds in its hand: the queue, the limits, who may ask."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from threading import Event, Thread
from typing import Any

import pytest
from uvicorn import Config
from uvicorn import Server as Uvicorn

from served import MULTIPART, ask, form, predict
from spira.base.errors import DataError
from spira.scorer.answer import Answer, Band, Refused, answer
from spira.server.app import Server, make_app
from spira.server.connections import PatientProtocol, listening
from spira.server.page import make_page
from spira.server.settings import MAX_FILES, About, Access, Limits, access, is_loopback

LOCAL = Access(None, ("127.0.0.1",))
LIMITS = Limits(n_scored=1, n_waiting=1, n_bytes=100_000, seconds=30.0)
ABOUT = About(
    notice="Research, not a diagnosis.",
    version="1",
    package="0" * 64,
    model="none",
    corpus="none",
    tasks=(),
    threshold=0.5,
    inconclusive_width=0.0,
    min_seconds=1.0,
    max_seconds=60.0,
    max_megabytes=0.1,
    max_files=MAX_FILES,
)


def scored(recordings: Mapping[str, bytes]) -> Answer:
    """Each recording's length as its score, in thousandths; an empty one is refused."""
    found = {
        name: len(content) / 1000 if content else Refused(code="empty", reason="no bytes")
        for name, content in recordings.items()
    }
    return answer(found, Band(0.5, 0.0), "0" * 64)


class Held:
    """A scorer that answers nothing until it may."""

    def __init__(self) -> None:
        self.may = Event()
        self.n_begun = 0

    def __call__(self, recordings: Mapping[str, bytes]) -> Answer:
        self.n_begun += 1
        assert self.may.wait(60)
        return scored(recordings)


@contextmanager
def running(
    score: Callable[[Mapping[str, bytes]], Answer] = scored,
    limits: Limits = LIMITS,
    access: Access = LOCAL,
    golden: Mapping[str, bytes] | None = None,
    *,
    wait: bool = True,
) -> Iterator[int]:
    """The port of a server in a thread."""
    server = Server(score, golden or {}, ABOUT, limits, access, make_page("<style></style>"))
    bound = listening("127.0.0.1", 0)
    config = Config(
        make_app(server), loop="asyncio", http=PatientProtocol, ws="none", log_config=None, timeout_keep_alive=1
    )
    uvicorn = Uvicorn(config)
    thread = Thread(target=uvicorn.run, args=[[bound]])
    thread.start()
    try:
        until(lambda: uvicorn.started and (server.ready or not wait))
        yield bound.getsockname()[1]
    finally:
        uvicorn.should_exit = True
        thread.join()
        bound.close()


def until(true: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


class Asking(Thread):
    """A request that is on its way."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.start()

    def run(self) -> None:
        self.reply = predict(self._port, {"a": bytes(700)})

    @property
    def status(self) -> int:
        self.join()
        return self.reply.status


def test_what_does_not_fit_into_the_queue_is_refused_at_once_and_all_else_is_answered() -> None:
    """One is scored, one waits, the third gets 503 with Retry-After; when there is room again, it is taken."""
    held = Held()
    with running(held, wait=False) as port:
        held.may.set()
        until(lambda: ask(port, "GET", "/ready").status == 200)
        held.may.clear()
        first = Asking(port)
        until(lambda: held.n_begun == 2)  # the golden recordings were the first
        others = [Asking(port), Asking(port)]
        until(lambda: not all(one.is_alive() for one in others))
        (refused,) = (one.reply for one in others if not one.is_alive())
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert ask(port, "GET", "/health").status == 200
        held.may.set()
        assert sorted(one.status for one in (first, *others)) == [200, 200, 503]
        assert predict(port, {"a": bytes(700)}).json["score"] == 0.7


def test_a_request_that_waits_too_long_is_given_up_and_its_place_is_free_again() -> None:
    """504 at its time limit; one that still waited is never scored."""
    held = Held()
    with running(held, Limits(1, 1, 1000, seconds=1.0), wait=False) as port:
        held.may.set()
        until(lambda: ask(port, "GET", "/ready").status == 200)
        held.may.clear()
        first, second = Asking(port), Asking(port)
        assert (first.status, second.status) == (504, 504)
        assert held.n_begun == 2
        held.may.set()
        until(lambda: predict(port, {"a": b"x"}).status == 200)


def test_it_is_ready_once_the_golden_recordings_are_scored() -> None:
    """Before, it is alive, and a recording is refused with Retry-After."""
    held = Held()
    with running(held, golden={"g": b"x"}, wait=False) as port:
        assert ask(port, "GET", "/health").status == 200
        early = ask(port, "GET", "/ready"), predict(port, {"a": b"x"})
        assert [(reply.status, "retry-after" in reply.headers) for reply in early] == [(503, True)] * 2
        held.may.set()
        until(lambda: ask(port, "GET", "/ready").status == 200)
        assert predict(port, {"a": b"x"}).status == 200


def test_where_the_golden_recordings_cannot_be_scored_it_is_never_ready(caplog: pytest.LogCaptureFixture) -> None:
    """It stays alive to say so."""

    def fails(_: Mapping[str, bytes]) -> Answer:
        raise RuntimeError

    with caplog.at_level(logging.INFO), running(fails, golden={"g": b"x"}, wait=False) as port:
        until(lambda: "RuntimeError" in caplog.text)
        assert [ask(port, "GET", path).status for path in ("/health", "/ready")] == [200, 503]


@pytest.mark.parametrize("error", [RuntimeError("SECRET"), MemoryError("SECRET"), TypeError("SECRET")])
def test_an_error_of_the_scorer_is_an_answer_and_the_log_has_its_place_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """200 and inconclusive, with the code of the machine; the error's text and notes may hold a recording."""
    error.add_note("SECRET")

    def fails(recordings: Mapping[str, bytes]) -> Answer:
        if "a" in recordings:
            raise error
        return scored(recordings)

    with caplog.at_level(logging.INFO), running(fails) as port:
        got = predict(port, {"a": b"SECRET"})
    assert (got.status, got.json["diagnosis"], got.json["score"]) == (200, "inconclusive", None)
    assert [one["refused"]["code"] for one in got.json["recordings"]] == ["machine"]
    assert type(error).__name__ in caplog.text
    assert "in fails" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_body_over_the_limit_is_refused_whether_its_length_is_said_or_not() -> None:
    """By the header before a byte is sent, and by counting."""
    with running() as port:
        with socket.create_connection(("127.0.0.1", port)) as sent:
            sent.sendall(head(10**9))
            assert sent.recv(100).startswith(b"HTTP/1.1 413 ")
        with socket.create_connection(("127.0.0.1", port)) as sent:
            sent.sendall(head(None))
            for _ in range(7):
                sent.sendall(b"4000\r\n" + bytes(0x4000) + b"\r\n")
                time.sleep(0.05)  # so that no piece is over the limit by itself
            assert sent.recv(100).startswith(b"HTTP/1.1 413 ")
        assert predict(port, {"a": bytes(99_000)}).status == 200
        assert predict(port, {f"{i}": b"x" for i in range(MAX_FILES)}).status == 200
        assert predict(port, {f"{i}": b"x" for i in range(MAX_FILES + 1)}).status == 413


def test_a_large_recording_never_reaches_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form's file would be moved to one from a megabyte on."""
    moved: list[object] = []
    monkeypatch.setattr(SpooledTemporaryFile, "rollover", moved.append)
    with running(limits=Limits(1, 0, 10_000_000, 30.0)) as port:
        assert predict(port, {"a": bytes(9_000_000)}).json["score"] == 9000
    assert moved == []


def head(length: int | None) -> bytes:
    said = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    kind = MULTIPART["Content-Type"]
    return f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{said}\r\n\r\n".encode()


def test_where_there_is_no_file_it_says_how_to_send_one() -> None:
    """No body, another kind of body, text fields alone, a form that is cut off, a character set that is none."""
    whole = form({"a": b"x"})
    field = whole.replace(b'; filename="recording.wav"', b"")
    strange = {"Content-Type": MULTIPART["Content-Type"] + "; charset=\x7f"}
    with running() as port:
        for body, headers in (
            (None, {}),
            (b"{}", {"Content-Type": "application/json"}),
            (b"x", {"Content-Type": "multipart/form-data"}),
            (field, MULTIPART),
            (whole.replace(b"name=", b"nome="), MULTIPART),
            (form({}), MULTIPART),
            (b"", MULTIPART),
        ):
            assert ask(port, "POST", "/v1/predict", body, headers).status == 422, (body, headers)
        assert "--form sentence=@" in ask(port, "POST", "/v1/predict", field, MULTIPART).json["detail"]
        assert ask(port, "POST", "/v1/predict", whole, strange).status in (200, 400, 422)
        twice = whole[: whole.rindex(b"--a-bound")] + whole
        assert "same name" in ask(port, "POST", "/v1/predict", twice, MULTIPART).json["detail"]
        assert ask(port, "GET", "/v1/predict").status == 405


def test_a_recording_that_was_not_made_is_inconclusive() -> None:
    """A field without a byte, as a form sends it where nothing was chosen."""
    with running() as port:
        got = ask(port, "POST", "/v1/predict", form({"a": b"", "b": bytes(700)}, ""), MULTIPART)
    assert (got.status, got.json["score"]) == (200, 0.7)
    assert [one["diagnosis"] for one in got.json["recordings"]] == ["inconclusive", "positive"]


@pytest.mark.parametrize("name", ["ç 語", "\ud800", "a" * 3000, '";x="', "<script>"])
def test_a_field_may_have_any_name(name: str) -> None:
    with running() as port:
        quoted = name.replace('"', "%22").encode("utf-8", "surrogatepass")
        body = form({"X": bytes(700)}).replace(b'"X"', b'"' + quoted + b'"')
        got = ask(port, "POST", "/v1/predict", body, MULTIPART)
    assert (got.status, got.json["score"]) == (200, 0.7)


def test_a_client_that_stops_sending_holds_nothing() -> None:
    """Neither in the head nor in the body of a request: others are answered, and it is hung up on."""
    with running(limits=Limits(1, 0, 100_000, seconds=1.0)) as port:
        stalled = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(20)]
        for i, one in enumerate(stalled):
            one.sendall(head(5000) + b"--a-bound" if i % 2 else b"POST /v1/pre")
        assert predict(port, {"a": bytes(700)}).status == 200
        replies = [everything(one) for one in stalled]
        assert {reply[:13] for reply in replies[1::2]} == {b"HTTP/1.1 408 "}
        assert set(replies[::2]) == {b""}
        assert predict(port, {"a": bytes(700)}).status == 200


def everything(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(4096):
        found += piece
    connection.close()
    return found


def test_bodies_that_arrive_at_once_are_bounded_together() -> None:
    """Twenty large ones that never end are not kept in memory: those that do not fit get 503."""
    with running(limits=Limits(1, 1, 100_000, seconds=2.0)) as port:
        stalled = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(8)]
        for one in stalled:
            one.sendall(head(90_000) + bytes(80_000))
        statuses = sorted(everything(one)[9:12] for one in stalled)
        assert statuses == [b"408"] * 2 + [b"503"] * 6
        assert predict(port, {"a": bytes(99_000)}).status == 200  # and the room is free again


def test_with_a_token_only_who_has_it_is_answered() -> None:
    """Scores and metrics; that it lives, is ready and which model it has may be known to all."""
    with running(access=Access("secret", ("*",))) as port:
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
            got = predict(port, {"a": b"x"}, given)
            assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer")
            assert ask(port, "GET", "/metrics", headers=given).status == 401
        right = {"Authorization": "Bearer secret"}
        assert predict(port, {"a": b"x"}, right).status == 200
        assert ask(port, "GET", "/metrics", headers=right).status == 200
        assert {ask(port, "GET", path).status for path in ("/", "/health", "/ready", "/version")} == {200}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_what_others_can_reach_needs_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(DataError, match=r"must bring a token: export SPIRA_SERVE_TOKEN="):
        access(host, None)
    assert access(host, "secret") == Access("secret", ("*",))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_loopback_a_page_of_elsewhere_cannot_call_it_by_its_own_name(host: str) -> None:
    """What a name server may make of a stranger's name is not answered."""
    assert is_loopback(host)
    assert access(host, "secret") == Access("secret", ("*",))
    allowed = access(host, None)
    with running(access=allowed) as port:
        assert ask(port, "GET", "/version", headers={"Host": "evil.example:80"}).status == 400
        assert ask(port, "GET", "/version", headers={"Host": f"localhost:{port}"}).status == 200


def test_no_page_of_elsewhere_may_read_an_answer() -> None:
    """CORS is closed, and the page loads nothing from elsewhere."""
    with running() as port:
        origin = {"Origin": "https://evil.example"}
        asked = ask(port, "OPTIONS", "/v1/predict", headers={"Access-Control-Request-Method": "POST", **origin})
        got = predict(port, {"a": bytes(700)}, origin)
        policy = ask(port, "GET", "/").headers["content-security-policy"]
    assert asked.status == 405
    assert not [name for reply in (asked, got) for name in reply.headers if name.startswith("access-control")]
    assert policy.startswith("default-src 'self'; ")
    assert "http" not in policy
    assert "unsafe" not in policy


def test_metrics_count_answers_scores_and_refusals_and_hold_nothing_of_a_person() -> None:
    with running() as port:
        predict(port, {"NAME": bytes(700), "OTHER": b""})
        predict(port, {"NAME": bytes(100)})
        ask(port, "POST", "/v1/predict")
        text = ask(port, "GET", "/metrics").text
    for line in (
        'spira_answers_total{diagnosis="positive"} 1.0',
        'spira_answers_total{diagnosis="negative"} 1.0',
        'spira_refusals_total{code="empty"} 1.0',
        'spira_score_bucket{le="0.1"} 1.0',
        'spira_score_bucket{le="0.7"} 2.0',
        'spira_request_seconds_count{status="200"} 2.0',
        'spira_request_seconds_count{status="422"} 1.0',
    ):
        assert line in text.splitlines()
    assert "NAME" not in text


def test_its_description_has_every_status_and_an_example_that_is_an_answer() -> None:
    """What /openapi.json shows of an answer is what the model of an answer admits."""
    with running() as port:
        described = ask(port, "GET", "/openapi.json").json
    post = described["paths"]["/v1/predict"]["post"]
    assert {*post["responses"]} == {"200", "401", "408", "413", "422", "503", "504"}
    example = post["responses"]["200"]["content"]["application/json"]["example"]
    assert Answer.model_validate_json(json.dumps(example)).diagnosis == "positive"
    assert "multipart/form-data" in post["requestBody"]["content"]


def test_its_description_asks_for_a_token_where_one_is_needed() -> None:
    guarded = ("/v1/predict", "post"), ("/metrics", "get")
    for who, needed in ((LOCAL, False), (Access("secret", ("*",)), True)):
        with running(access=who) as port:
            paths = ask(port, "GET", "/openapi.json").json["paths"]
        assert {"security" in paths[path][method] for path, method in guarded} == {needed}
        assert "security" not in paths["/ready"]["get"]
