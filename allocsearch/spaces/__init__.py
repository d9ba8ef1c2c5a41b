"""Search spaces: an Optuna trial goes in, an allocation comes out."""

from __future__ import annotations
