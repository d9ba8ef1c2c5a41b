"""The search: a study proposes allocations, workers train and measure them."""

from __future__ import annotations
