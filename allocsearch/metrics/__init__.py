"""Measurements of a trained model: information, OOD scores, AUROC."""

from __future__ import annotations
