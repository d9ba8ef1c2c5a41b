"""Optuna's dashboard with our plots."""

from __future__ import annotations
