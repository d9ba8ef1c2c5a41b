"""What the terminal shows of a study."""

from __future__ import annotations
