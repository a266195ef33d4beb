"""The sha256 of every file of each pinned version, written into the requirements files; `make hashes` calls it."""

import json
import re
import subprocess
import sys
from pathlib import Path


def pins(text: str) -> list[str]:
    """``name==version`` of each package that a requirements file pins."""
    return re.findall(r"^[\w.-]+==[^\s\\]+", text, re.MULTILINE)


def head(text: str) -> str:
    """Its comments, and the file that it builds on."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith(("#", "-r")))


def with_hash(text: str, name: str, sha256: str) -> str:
    """The same with one more hash of a package, first, where it was not listed; the same text for another package."""
    if f"--hash=sha256:{sha256}" in text:
        return text
    return re.sub(rf"^({name}==\S+) \\$", rf"\1 \\\n    --hash=sha256:{sha256} \\", text, flags=re.MULTILINE)


def hashes(text: str, pin: str) -> list[str]:
    """The sha256 that are listed for a pin."""
    block = re.search(rf"^{re.escape(pin)} \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE)
    return re.findall(r"sha256:(\w+)", block[1]) if block else []


def hashed(text: str) -> str:
    """The pins of a requirements file, each with the hashes that the package index has, as uv finds them."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-deps", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--python-version", "3.11", "-"),
    ]
    found = subprocess.run(command, input="\n".join(pins(text)), check=True, capture_output=True, text=True).stdout
    assert sorted(map(spelt, pins(found))) == sorted(map(spelt, pins(text))), "uv left out a pin, or changed it"
    return head(text) + found


def spelt(pin: str) -> str:
    """A name in its one spelling: ``ruamel.yaml.clib`` is ``ruamel-yaml-clib``."""
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


if __name__ == "__main__":
    report, *files = map(Path, sys.argv[1:])
    (taken,) = json.loads(report.read_text(encoding="utf-8"))["install"]
    name = taken["metadata"]["name"]
    for file in files:
        before = file.read_text(encoding="utf-8")
        text = hashed(before)
        builds = [old for pin in pins(text) if pin.startswith(f"{name}==") for old in hashes(before, pin)]  # of others
        for sha256 in [*builds, taken["download_info"]["archive_info"]["hashes"]["sha256"]]:
            text = with_hash(text, name, sha256)
        file.write_text(text, encoding="utf-8")
