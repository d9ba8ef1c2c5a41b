"""Plots, each a function from a data frame to a figure."""

from __future__ import annotations
