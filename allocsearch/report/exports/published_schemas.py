"""The JSON Schemas that docs/schema publishes.

`python -m allocsearch.report.exports.published_schemas docs/schema` writes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from allocsearch.config.json_schema import json_schema, study_schema
from allocsearch.report.exports.export import ExportedAllocation
from allocsearch.search.storage import write_atomically


def published_schemas() -> dict[str, str]:
    """The text of each file by its name."""
    schemas = {
        "study.json": study_schema(),
        "export.json": json_schema(ExportedAllocation, "Allocation exported by allocsearch"),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def write_schemas(folder: Path) -> None:
    """Write all of them to a folder."""
    for name, text in published_schemas().items():
        write_atomically(folder / name, text)


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
