"""Which allocation is trained next."""

from __future__ import annotations
