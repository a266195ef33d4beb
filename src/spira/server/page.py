"""The page to try a server from a browser, which may load nothing from elsewhere."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Page:
    """A page, and the headers that hold the browser to it."""

    html: str
    headers: Mapping[str, str]


def make_page(html: str) -> Page:
    """Its style and its script are allowed by their hashes, so that nothing put into it would run."""
    allowed = {kind: _hashes(html, kind) for kind in ("script", "style")}
    policy = (
        f"default-src 'self'; script-src {allowed['script']}; style-src {allowed['style']}; "
        "media-src blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Page(html, headers)


def _hashes(html: str, kind: str) -> str:
    texts = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)
