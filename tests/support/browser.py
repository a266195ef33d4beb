"""A headless Chromium, driven by its own protocol: what a page complains of, how wide it is, and a picture of it."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
_SECONDS = 90  # for anything at all, on a busy machine
_FACTS = """JSON.stringify({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  sections: [...document.querySelectorAll("section")].map(e => [e.id, e.getBoundingClientRect().height]),
  broken: [...document.images].filter(e => !e.complete || !e.naturalWidth).length,
  height: document.documentElement.scrollHeight,
  background: getComputedStyle(document.body).backgroundColor})"""


class Seen(NamedTuple):
    """A page as it was shown."""

    facts: dict[str, Any]
    complaints: list[str]  # of the console, of scripts, of requests that failed
    requested: list[str]  # addresses, but for what the page holds itself
    png: bytes


def seen(page: Path, width: int, *, dark: bool = False, height: int | None = None) -> Seen:
    """The page at this width; the picture is of all of it, or of its first ``height`` pixels."""
    return asyncio.run(asyncio.wait_for(_seen(page, width, dark=dark, height=height), _SECONDS))


class Tab:
    """A page that a test works with."""

    def __init__(self, call: Any, events: list[dict[str, Any]]) -> None:
        self._call, self._events = call, events

    @property
    def complaints(self) -> list[str]:
        return _complaints(self._events)

    @property
    def requested(self) -> list[str]:
        return _requested(self._events)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        found = await self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until a JavaScript expression is true."""
        while not await self.value(expression):
            await asyncio.sleep(0.05)

    async def choose(self, selector: str, file: Path) -> None:
        """Puts a file into a field of the page, as a person who chooses it."""
        document = await self._call("DOM.getDocument")
        node = await self._call("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self._call("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(file)])


@asynccontextmanager
async def tab(url: str, *, microphone: bool = False) -> AsyncIterator[Tab]:
    """A page as it is served, where it may use a microphone that beeps."""
    async with _connection(*(_MICROPHONE if microphone else ())) as (call, events):
        for domain in ("Page", "Runtime", "Log", "Network"):
            await call(f"{domain}.enable")
        size: dict[str, Any] = {"width": 900, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        await call("Emulation.setDeviceMetricsOverride", **size)
        await call("Page.navigate", url=url)
        yield Tab(call, events)


async def _seen(page: Path, width: int, *, dark: bool, height: int | None) -> Seen:
    async with _connection() as (call, events):
        for domain in ("Page", "Runtime", "Log", "Network"):
            await call(f"{domain}.enable")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await call("Emulation.setEmulatedMedia", features=scheme)
        size: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await call("Emulation.setDeviceMetricsOverride", **size)
        await call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in events):
            await asyncio.sleep(0.05)
            await call("Runtime.evaluate", expression="0")  # events arrive with answers
        found = await call("Runtime.evaluate", expression=_FACTS)
        facts = json.loads(found["result"]["value"])
        size["height"] = height or facts["height"]
        await call("Emulation.setDeviceMetricsOverride", **size)
        picture = await call("Page.captureScreenshot", format="png")
    return Seen(facts, _complaints(events), _requested(events), base64.b64decode(picture["data"]))


def _complaints(events: list[dict[str, Any]]) -> list[str]:
    kinds = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed"}
    return [str(event) for event in events if event["method"] in kinds]


def _requested(events: list[dict[str, Any]]) -> list[str]:
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:")]


@asynccontextmanager
async def _connection(*options: str) -> AsyncIterator[tuple[Any, list[dict[str, Any]]]]:
    """(a function that calls the protocol, the events so far) of a browser's only page; the browser ends with it."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *_OPTIONS, *options, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    address = next(of for of in await answer.json() if of["type"] == "page")["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    events: list[dict[str, Any]] = []
                    yield _caller(socket, events), events
        finally:
            process.terminate()
            process.wait()


async def _port(file: Path) -> str:
    while not (file.is_file() and "\n" in file.read_text()):
        await asyncio.sleep(0.05)
    return file.read_text().split("\n")[0]


def _caller(socket: aiohttp.ClientWebSocketResponse, events: list[dict[str, Any]]) -> Any:
    numbers = iter(range(1, 1_000_000))

    async def call(method: str, **params: Any) -> dict[str, Any]:
        number = next(numbers)
        await socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer: dict[str, Any] = await socket.receive_json()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            events.append(answer)

    return call
