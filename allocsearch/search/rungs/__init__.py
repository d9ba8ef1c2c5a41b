"""Early stopping: what a rung decides, and what it is worth."""

from __future__ import annotations
