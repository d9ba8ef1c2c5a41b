"""Search spaces: an Optuna trial goes in, an allocation comes out."""

from __future__ import annotations

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces.layer_count import LayerCountSpace
from allocsearch.spaces.ratio import RatioSpace
from allocsearch.spaces.simplex import SimplexSpace
from allocsearch.spaces.space import Space
from allocsearch.spaces.table import TableSpace

__all__ = ["LayerCountSpace", "RatioSpace", "SimplexSpace", "Space", "TableSpace", "build_space"]


def build_space(section: SearchSpaceSection) -> Space:
    """The space that the section `search_space` of a study describes."""
    if section.kind == "table":
        return TableSpace([Allocation.parse(text) for text in section.allocations])

    def over(lattice: Lattice) -> Space:
        if section.kind == "ratio":
            return RatioSpace(lattice, *section.ratio_range)
        return SimplexSpace(lattice)

    spaces = {layers: over(lattice) for layers, lattice in section.lattices().items()}
    return next(iter(spaces.values())) if len(spaces) == 1 else LayerCountSpace(spaces)
