"""The parts of a report: each a figure, its table and its words."""

from __future__ import annotations
