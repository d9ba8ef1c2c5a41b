"""Detectors: a trained model with its scores and thresholds, kept in files."""

from __future__ import annotations
