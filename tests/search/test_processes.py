from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from allocsearch.config import load
from allocsearch.search.trainers import trainer_modules


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every worker imports for itself")
def test_workers_find_imported_what_they_need(tmp_path) -> None:
    # In a process that has no server of workers yet.
    script = """
from allocsearch.search.processes import process_context
found = "import sys; sys.exit(not {'colorsys', 'allocsearch.search.worker'} <= {*sys.modules})"
process = process_context("colorsys").Process(target=exec, args=(found,))
process.start()
process.join()
raise SystemExit(process.exitcode)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"kind": "hvae"}, ["allocsearch.search.hvae_trainer", "torch._dynamo"]),
        ({"kind": "callable", "function": "own:train"}, []),
    ],
)
def test_only_our_own_trainer_has_much_to_import(tmp_path, write_study, trainer, expected) -> None:
    sections = {"objectives": ["min:loss"]} if trainer["kind"] != "hvae" else {}
    config = load(write_study(tmp_path / "tiny.toml", study=sections, trainer=trainer))
    assert list(trainer_modules(config)) == expected
    assert all(find_spec(name) is not None for name in expected)
