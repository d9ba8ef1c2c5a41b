"""The password of a database is in no file and no output of a study on a local Ray."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import tomli_w

TRAINER = "def train(allocation, config, seed, report):\n    return {'loss': float(seed)}\n"


def test_the_password_is_in_no_file_of_ray(
    postgres, tmp_path: Path, command, main_here, monkeypatch
) -> None:
    password = os.environ.pop("ALLOCSEARCH_STORAGE_PASSWORD")
    (tmp_path / "own.py").write_text(TRAINER)
    content = {
        "study": {"name": "tiny", "objectives": ["min:loss"], "sampler": "random", "trials": 3},
        "search_space": {"kind": "simplex", "budget": 12, "layers": 2},
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    study = tmp_path / "tiny.toml"
    study.write_text(tomli_w.dumps(content))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    whole = postgres.database().render_as_string(hide_password=False)
    # Short, for the paths of sockets are.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as session:
        monkeypatch.setenv("RAY_TMPDIR", session)
        ended = command("run", study.name, "--executor", "ray", "--storage", whole, cwd=tmp_path)
        folder = tmp_path / "runs" / "tiny"
        files = [path for path in Path(session).rglob("*") if path.is_file()]
        logs = [path for path in files if path.name.startswith("raylet")]
        contents = [path.read_bytes() for path in files]
    assert (ended.code, ended.err) == (0, "")
    assert "3 of 3 trials" in ended.out
    assert logs
    contents += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    contents.append(ended.out.encode())
    for spelling in (password, quote(password), quote(password, safe="")):
        assert not [content for content in contents if spelling.encode() in content]
    monkeypatch.setenv("ALLOCSEARCH_STORAGE_PASSWORD", password)
    shown = main_here("status", folder)
    assert (shown.code, shown.err) == (0, "")
    assert "3 of 3 trials" in shown.out
