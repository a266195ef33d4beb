"""The HTTP application: routes, statuses and their descriptions; the scorer behind it is an argument."""

import asyncio
import logging
import secrets
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

from spira.scorer.answer import MACHINE, Answer, Band, Refused, answer
from spira.server.bodies import Bodies
from spira.server.metrics import Metrics
from spira.server.page import Page
from spira.server.queue import Queue, QueueFullError
from spira.server.settings import About, Access, Limits

Score = Callable[[Mapping[str, bytes]], Answer]  # of one person's recordings, by name
Keep = Callable[[Mapping[str, bytes], str], Answer]  # the same, and keeps numbers of it under this id

LOG = logging.getLogger("spira.server")
INFERENCE = "Inference-Id"  # a header of the answer, where numbers of it are kept: feedback names it
_FILES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {"type": "string", "format": "binary"},
                    "description": "recordings of one person, each under the name of what was said: any of `tasks` of "
                    "/version. The format is taken from the content, and a file's name is not read.",
                }
            }
        },
    }
}
_EXAMPLE = {
    "notice": "Research, not a diagnosis.",
    "score": 0.812,
    "diagnosis": "positive",
    "recordings": [
        {"name": "sentence", "score": 0.812, "diagnosis": "positive", "refused": None},
        {
            "name": "rhyme",
            "score": None,
            "diagnosis": "inconclusive",
            "refused": {"code": "too_short", "reason": "expected at least 1.0 s, got 0.400 s (ingest.min_seconds)"},
        },
    ],
    "threshold": 0.729,
    "inconclusive_width": 0.1,
    "package": "0" * 64,
}


class Problem(BaseModel):
    """Why a request has no answer."""

    detail: str


class State(BaseModel):
    """Whether the server is there, or ready."""

    status: str


def _problems(**sentences: str) -> dict[int | str, dict[str, Any]]:
    """The responses but 200, for OpenAPI: by status, as in ``s413``."""
    return {int(status[1:]): {"model": Problem, "description": said} for status, said in sentences.items()}


class Server:
    """What the routes share.

    Args:
        score: a person's recordings by name -> the answer.
        golden: recordings that are scored once before the server is ready, the way that a request's are.
        about: what is said of the model.
        limits: what is taken.
        access: from whom.
        page: what ``/`` shows.
        keep: scores in place of ``score`` where numbers of each request are kept; the golden recordings' are not.
    """

    def __init__(
        self,
        score: Score,
        golden: Mapping[str, bytes],
        about: About,
        limits: Limits,
        access: Access,
        page: Page,
        keep: Keep | None = None,
    ) -> None:
        self.about, self.access, self.page = about, access, page
        self.metrics = Metrics(about)
        self._limits, self._golden = limits, golden
        self._score, self._keep = score, keep
        self._bodies, self._queue = Bodies(limits), Queue(limits)
        self.ready = False

    async def warm_up(self) -> None:
        """Where the scorer fails, the server is never ready, and the log says where."""
        try:
            await self._queue(partial(self._score, self._golden), None)
        except Exception as error:
            _log(error)
            return
        self.ready = True
        LOG.info("ready")

    def close(self) -> None:
        self.ready = False
        self._queue.close()

    async def predict(self, request: Request) -> Response:
        """The answer as JSON; raises HTTPException where there is none."""
        start, status, n_recordings = asyncio.get_running_loop().time(), 500, 0
        inference = uuid4().hex if self._keep else ""
        try:
            found = await self._answer(request, inference, start + self._limits.seconds)
            status, n_recordings = 200, len(found.recordings)
            self.metrics.count(found)
            headers = {INFERENCE: inference} if inference else {}
            return Response(found.model_dump_json(), headers=headers, media_type="application/json")
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            seconds = asyncio.get_running_loop().time() - start
            self.metrics.requests.labels(str(status)).observe(seconds)
            LOG.info("%d in %.3f s, recordings: %d", status, seconds, n_recordings)

    async def _answer(self, request: Request, inference: str, deadline: float) -> Answer:
        if not self.ready:
            raise _not_ready()
        recordings = await self._bodies(request, deadline)
        try:
            score = partial(self._keep, recordings, inference) if self._keep else partial(self._score, recordings)
            return await self._queue(score, deadline)
        except QueueFullError as error:
            raise HTTPException(503, "as many requests wait as may; try again", {"Retry-After": "1"}) from error
        except TimeoutError as error:
            raise HTTPException(504, f"no answer within {self._limits.seconds:g} s") from error
        except Exception as error:
            _log(error)
            failed = Refused(code=MACHINE, reason="the server failed, and nothing is known of it; its log says where")
            band = Band(self.about.threshold, self.about.inconclusive_width)
            return answer(dict.fromkeys(recordings, failed), band, self.about.package)


def _not_ready() -> HTTPException:
    return HTTPException(503, "not ready yet", {"Retry-After": "5"})


def _log(error: Exception) -> None:
    """Its kind and its place alone: its text and its notes may hold a recording."""
    LOG.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))


def make_app(server: Server) -> FastAPI:
    """The application; its first request may come before it is ready."""
    app = FastAPI(
        title="SPIRA",
        summary="Scores recordings of one person by a packaged model: research, not a diagnosis.",
        version=server.about.version,
        docs_url=None,  # they load scripts from elsewhere; the description itself is at /openapi.json
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(server),
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(server.access.hosts), www_redirect=False)
    _add_predict(app, server)
    _add_states(app, server)
    _show_example(app)
    return app


def _lifespan(server: Server) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(server.warm_up())
        yield
        warming.cancel()
        await asyncio.to_thread(server.close)

    return lifespan


def _guards(token: str | None) -> list[Any]:
    """The dependencies of routes that only who has the token may call; where there is no token, none is described."""
    if token is None:
        return []
    bearer = HTTPBearer(auto_error=False)

    async def guard(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "a token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})

    return [Depends(guard)]


def _add_predict(app: FastAPI, server: Server) -> None:
    responses = _problems(
        s401="The token is missing or wrong.",
        s408="The request did not arrive in time.",
        s413="The request is larger than the limit, or has too many files.",
        s422="There is no file, or two have the same name.",
        s503="Too many requests wait, or the server is not ready; Retry-After says for how long.",
        s504="There was no answer in time.",
    )
    ok: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "The answer; a recording that cannot be scored is in it, with the code of its refusal. "
            f"Where the server keeps numbers of each request, the header {INFERENCE} names them, for feedback."
        }
    }

    @app.post(
        "/v1/predict",
        response_model=Answer,
        responses=ok | responses,
        openapi_extra=_FILES,
        dependencies=_guards(server.access.token),
    )
    async def predict(request: Request) -> Response:
        """Score the recordings of one person, any number of them."""
        return await server.predict(request)


def _show_example(app: FastAPI) -> None:
    """Adds an answer to the description, which FastAPI would write without its nulls."""
    responses = app.openapi()["paths"]["/v1/predict"]["post"]["responses"]
    responses["200"]["content"]["application/json"]["example"] = _EXAMPLE


def _add_states(app: FastAPI, server: Server) -> None:
    @app.get("/health")
    async def health() -> State:
        """Whether the process answers."""
        return State(status="alive")

    @app.get("/ready", responses=_problems(s503="It is not ready yet, or about to end."))
    async def ready() -> State:
        """Whether a recording sent now is scored."""
        if not server.ready:
            raise _not_ready()
        return State(status="ready")

    @app.get("/version")
    async def version() -> About:
        """Which model answers, and what it takes."""
        return server.about

    @app.get("/metrics", dependencies=_guards(server.access.token), response_class=Response)
    async def metrics() -> Response:
        """Counters and histograms for Prometheus."""
        return Response(server.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(server.page.html, headers=server.page.headers)
