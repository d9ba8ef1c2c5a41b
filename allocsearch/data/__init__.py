"""Data: sources, the ID split and OOD sets in their roles, synthetic shifts."""

from __future__ import annotations
