"""The report: front, figures, page and exports, from storage and run folder alone."""

from __future__ import annotations
