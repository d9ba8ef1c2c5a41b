from __future__ import annotations

import logging
import sys

import pytest

from allocsearch.report.terminal.first_lines import FirstLines


@pytest.mark.parametrize(
    ("message", "raised", "shown"),
    [
        ("fine", None, "ERROR fine"),
        ("Exception: lost\n  File x.py, line 3\n  File y.py", None, "ERROR Exception: lost"),
        ("failed", ValueError("lost"), "ERROR failed: ValueError: lost"),
    ],
)
def test_a_record_is_one_line(message, raised, shown):
    info = None
    if raised is not None:
        try:
            raise raised
        except ValueError:
            info = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, message, None, info)
    line = FirstLines().format(record)
    assert line.endswith(shown)
    assert "\n" not in line
