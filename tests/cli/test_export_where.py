from __future__ import annotations

import re

from allocsearch.report.exports.export import load_export
from allocsearch.search.records import read_run


def test_where_narrows_what_is_exported(finished_run, main_here, tmp_path):
    complete = read_run(finished_run.folder).complete
    metrics = {str(t.allocation): t.metrics["attenuation"] for t in complete}
    lowest = min(metrics.values())
    out = tmp_path / "flat.json"
    where = ("--where", f"attenuation<={lowest}", "--where", "retention>=-100")
    ended = main_here("export", finished_run.folder, "--pick", "knee", *where, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert metrics[load_export(out).allocation] == lowest


def test_a_constraint_that_nothing_satisfies_is_one_line(finished_run, main_here):
    where = ("--where", "attenuation<=-1")
    ended = main_here("export", finished_run.folder, "--pick", "weights:auroc=1", *where)
    assert ended.code == 2
    assert re.search(r"none of \d+ allocations satisfies this; the nearest is ", ended.err)
    assert ended.err.count("\n") == 1
