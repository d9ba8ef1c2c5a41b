from __future__ import annotations

import json

import pytest

from allocsearch.search.foreign import report_lines
from allocsearch.search.foreign.report_lines import ReportLines


def test_each_line_is_given_once_when_it_is_complete(tmp_path):
    path = tmp_path / "reports.jsonl"
    lines = ReportLines(path)
    assert list(lines.new()) == []
    with path.open("a") as file:
        file.write('{"progress": 0.1}\n{"progr')
        file.flush()
        assert list(lines.new()) == [(1, {"progress": 0.1})]
        assert list(lines.new()) == []
        file.write('ess": 0.2}\n\n{"progress": 0.3}\n')
    assert list(lines.new()) == [(2, {"progress": 0.2}), (4, {"progress": 0.3})]
    assert list(lines.new()) == []


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_the_size_of_what_is_read_at_once_does_not_matter(tmp_path, monkeypatch, size):
    path = tmp_path / "reports.jsonl"
    wanted = [{"n": n, "text": "ä" * (n % 5)} for n in range(20)]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in wanted))
    lines = ReportLines(path)
    monkeypatch.setattr(report_lines, "_CHUNK", size)
    assert [line for _, line in lines.new()] == wanted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"garbage\n", "line 1: not JSON: "),
        (b'{"a": 1}\n[1]\n', "line 2: found no object"),
        (b"\xff\xfe\n", "line 1: not JSON: "),
        (b"[" * 100_000 + b"\n", "line 1: not JSON: "),
        (b"{" * (3 << 20), "line 1: longer than "),
    ],
)
def test_a_line_that_is_no_object_is_refused(tmp_path, content, message):
    path = tmp_path / "reports.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(ReportLines(path).new())


def test_what_is_no_file_is_not_read(tmp_path):
    (tmp_path / "reports.jsonl").mkdir()
    assert list(ReportLines(tmp_path / "reports.jsonl").new()) == []
