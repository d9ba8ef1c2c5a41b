"""What the layers of an allocation have in feature maps, for programs that count these."""

from __future__ import annotations

from collections.abc import Sequence

from allocsearch.config import DataSection, ModelSection


def feature_maps(
    dims: Sequence[int], model: ModelSection, data: DataSection | None
) -> tuple[int, ...]:
    """Feature maps of each spatial latent, and dims of each dense one, bottom to top.

    Args:
        dims: (d_1, ..., d_L), of a spatial latent its feature maps times the positions of each.
        model: The model. One without convolutions has dense latents alone.
        data: What it was trained on, of which the positions follow; None for models that are not
            ours, whose spatial latents are counted in feature maps already.

    Raises:
        InputError: If the data of a model with spatial latents is missing or broken.
    """
    if data is None or model.blocks == "dense" or "spatial" not in model.latents:
        return tuple(dims)
    # Imported where they are used: torch takes long, and dense latents need none of it.
    from allocsearch.data.splits import load_search_data
    from allocsearch.models.granularity import granularity

    # The shape of an example is nowhere but in the data.
    units = granularity(load_search_data(data).train.shape, model, len(dims))
    return tuple(d // unit for d, unit in zip(dims, units, strict=True))
