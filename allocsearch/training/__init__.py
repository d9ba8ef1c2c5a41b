"""Training: one loop and its schedules."""

from __future__ import annotations
