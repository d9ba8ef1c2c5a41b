"""The section `search_space`: which allocations can be proposed."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config.errors import mistake
from allocsearch.config.section import (
    AllocationText,
    Count,
    Counts,
    Floats2,
    Section,
    one_or_more,
)

# No lattice of more layers is small enough to be searched.
_LayerCount = Annotated[int, Field(ge=1, le=1000)]


class SearchSpaceSection(Section):
    """Which allocations can be proposed."""

    file_keys: ClassVar[tuple[str, ...]] = ("file",)

    kind: Literal["ratio", "simplex", "table"] = "simplex"
    """One parameter (`ratio`), every allocation of the budget (`simplex`), or a list (`table`)."""
    budget: Count
    """Latent dims in all, the exact sum of every allocation."""
    layers: Annotated[
        tuple[_LayerCount, ...], BeforeValidator(one_or_more), Field(min_length=1)
    ] = (3,)
    """Number of latent layers; a list searches it too."""
    min_dim: Count = 1
    """No layer gets fewer dims."""
    step: Counts = (1,)
    """The dims of a layer are a multiple of it; a list has one for each layer, bottom to top."""
    max_dim: Counts | None = None
    """No layer gets more dims; a list has one for each layer, bottom to top."""
    ratio_range: Floats2 = (0.1, 10.0)
    """Smallest and largest ratio of kind `ratio`, searched on a log scale."""
    allocations: Annotated[tuple[AllocationText, ...], BeforeValidator(one_or_more)] = ()
    """The list of kind `table`, each in the form `64-18-6`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.layers)) != len(self.layers):
            raise mistake("layers", f"found {list(self.layers)}; each number of layers once")
        if self.kind == "table":
            self._check_table()
            # A resolved study states what follows from its table.
            object.__setattr__(self, "layers", self.layer_counts)
            return self
        if self.allocations:
            raise mistake("allocations", f"only a table has these, and kind is {self.kind!r}")
        low, high = self.ratio_range
        if not 0 < low < high:
            raise mistake("ratio_range", f"found [{low}, {high}]; allowed: 0 < low < high")
        try:
            self.lattices()
        except ValueError as error:
            key = str(error).split()[0]
            raise mistake(
                key if key in type(self).model_fields else "budget", str(error)
            ) from None
        return self

    def _check_table(self) -> None:
        if not self.allocations:
            raise mistake("allocations", "a table needs at least one, for example ['64-18-6']")
        for text in self.allocations:
            try:
                found = Allocation.parse(text)
            except ValueError as error:
                raise mistake("allocations", str(error)) from None
            if found.budget != self.budget:
                message = f"{text} sums to {found.budget}, not to the budget {self.budget}"
                raise mistake("allocations", message)
            self._check_steps(found)
        if len(set(self.allocations)) != len(self.allocations):
            raise mistake("allocations", "an allocation stands twice")
        if "layers" in self.model_fields_set:
            for text in self.allocations:
                if text.count("-") + 1 not in self.layers:
                    message = f"{text} does not have {' or '.join(map(str, self.layers))} layers"
                    raise mistake("allocations", message)

    def _check_steps(self, allocation: Allocation) -> None:
        steps = self.steps(allocation.layers)
        if len(steps) != allocation.layers:
            message = f"step has {len(steps)} values, and {allocation} {allocation.layers} layers"
            raise mistake("step", message)
        for layer, (d, step) in enumerate(zip(allocation.dims, steps, strict=True), 1):
            if d % step:
                message = f"{allocation} gives layer {layer} {d} dims, no multiple of step {step}"
                raise mistake("allocations", message)

    @property
    def layer_counts(self) -> tuple[int, ...]:
        """Every number of layers that an allocation of this space can have, ascending."""
        if self.kind == "table":
            return tuple(sorted({text.count("-") + 1 for text in self.allocations}))
        return tuple(sorted(self.layers))

    def steps(self, layers: int) -> tuple[int, ...]:
        """The step of each layer of so many, bottom to top."""
        return self.step * layers if len(self.step) == 1 else self.step

    def lattices(self) -> dict[int, Lattice]:
        """The lattice of allocations for each number of layers (not for a table).

        Raises:
            ValueError: If one of them is empty.
        """
        return {n: self._lattice(n) for n in sorted(self.layers)}

    def _lattice(self, layers: int) -> Lattice:
        caps = self.max_dim
        if caps is not None and len(caps) == 1:
            caps = caps * layers
        return Lattice(self.budget, layers, self.steps(layers), self.min_dim, caps)
