from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from allocsearch.report.terminal.fitting import Fitting


def table():
    found = Table.grid(padding=(0, 2))
    found.add_row("one", "two", "three")
    return found


@pytest.mark.parametrize(
    ("width", "shown"),
    [(15, "one  two  three"), (14, "one, two, three"), (5, "one, two, three")],
)
def test_the_first_that_fits_is_shown(width, shown):
    console = Console(file=io.StringIO(), width=width)
    console.print(Fitting((table(), Text("one,\ntwo,\nthree"))))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert " ".join(lines) == shown
