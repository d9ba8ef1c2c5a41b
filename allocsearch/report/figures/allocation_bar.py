"""An allocation as bars of characters, for text that can hold no picture."""

from __future__ import annotations

from allocsearch.allocation import Allocation

# Of all layers together: the marks of a large study are many.
_WIDTH = 16
# More lines would cover the figure that the text lies on.
_MOST_LAYERS = 8
# An eighth of a character to the whole of one.
_BLOCKS = "▏▎▍▌▋▊▉█"


def allocation_bars(allocation: Allocation) -> tuple[str, ...]:
    """A line for each layer, bottom to top, with a bar as long as its share of the budget.

    Args:
        allocation: The allocation.

    Returns:
        Lines as `layer 1 ████▌ 12`, whose bars are 16 characters together, to an eighth of one;
        none where there are more than 8 layers.
    """
    if allocation.layers > _MOST_LAYERS:
        return ()
    return tuple(
        f"layer {layer} {_bar(d / allocation.budget)} {d}"
        for layer, d in enumerate(allocation.dims, 1)
    )


def _bar(share: float) -> str:
    # A layer is never so narrow that it is not there.
    whole, rest = divmod(max(1, round(share * _WIDTH * len(_BLOCKS))), len(_BLOCKS))
    return _BLOCKS[-1] * whole + (_BLOCKS[rest - 1] if rest else "")
