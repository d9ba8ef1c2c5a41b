"""Allocations of a latent budget to layers, and the lattice of all of them.

Lists of dims run bottom (layer 1, next to the data) to top (layer L).
"""

from __future__ import annotations

from allocsearch.allocation.lattice import Lattice
from allocsearch.allocation.value import Allocation

__all__ = ["Allocation", "Lattice"]
