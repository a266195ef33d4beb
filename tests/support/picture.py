"""The photograph of the report's page, which says of what report it was taken: `make picture`."""

import struct
import zlib
from hashlib import sha256

from tiny import ROOT

PAGE, PICTURE = ROOT / "data/report/index.html", ROOT / "docs/explanation/report.png"
REPORT = ROOT / "data/report/report.md"  # with the same numbers; git has it
_SIGNATURE, _HEADER = 8, 25  # bytes of a PNG, before which nothing may be put
_KEY = b"Source\0"


def shown(report: str) -> str:
    """The SHA-256 of what a report begins with: its verdict and its models side by side, which the photograph shows."""
    return sha256(report.partition("\n## ")[0].encode()).hexdigest()


def marked(png: bytes, text: str) -> bytes:
    """The PNG with a line of text in it."""
    chunk = b"tEXt" + _KEY + text.encode("ascii")
    end = _SIGNATURE + _HEADER
    return png[:end] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[end:]


def mark(png: bytes) -> str:
    """The text that ``marked`` put in; "" where there is none."""
    start = _SIGNATURE + _HEADER
    (n_bytes,) = struct.unpack(">I", png[start : start + 4])
    chunk = png[start + 4 : start + 8 + n_bytes]
    return chunk.removeprefix(b"tEXt" + _KEY).decode("ascii") if chunk.startswith(b"tEXt" + _KEY) else ""


if __name__ == "__main__":
    from browser import seen

    PICTURE.write_bytes(marked(seen(PAGE, 1280, height=1310).png, shown(REPORT.read_text(encoding="utf-8"))))
