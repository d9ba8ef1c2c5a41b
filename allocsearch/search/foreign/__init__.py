"""Trainers that are not our own: a function or a program of the user."""

from __future__ import annotations
