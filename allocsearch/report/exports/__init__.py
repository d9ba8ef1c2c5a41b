"""From a trial of a finished study to a config file."""

from __future__ import annotations
