"""The final evaluation of chosen allocations on test data."""

from __future__ import annotations
