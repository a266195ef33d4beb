"""Draw DVC's plots as PNG files, without a browser or a network: `make plots`."""

import json
import re
import subprocess
from pathlib import Path

import vl_convert

OUT = Path(__file__).parent / "explanation/plots"
PIXELS_A_POINT = 1.5


def main() -> None:
    shown = subprocess.run(["dvc", "plots", "show", "--json"], check=True, capture_output=True, text=True)
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.png"):
        old.unlink()
    for name, drawings in json.loads(shown.stdout)["data"].items():
        for drawing in drawings:
            file = OUT / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}.png"
            file.write_bytes(vl_convert.vegalite_to_png(drawing["content"], scale=PIXELS_A_POINT))
            print(file)


if __name__ == "__main__":
    main()
