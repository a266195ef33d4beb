"""Write docs/reference/package.schema.json, the JSON Schema of a package's package.json, from the code."""

import json
from pathlib import Path

from spira.scorer.manifest import Manifest

if __name__ == "__main__":
    schema = json.dumps(Manifest.model_json_schema(), indent=2, allow_nan=False) + "\n"
    (Path(__file__).parent / "reference/package.schema.json").write_text(schema, encoding="utf-8")
