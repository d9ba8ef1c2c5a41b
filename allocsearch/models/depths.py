"""What an HVAE makes of x from the layers above each depth alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from allocsearch.models.hvae import HVAE


def decode_depths(
    model: HVAE, x: Tensor, noise: Sequence[Tensor], depths: Sequence[int]
) -> Tensor:
    """The mean of p(x | z) with z_{>k} from q(z | x) and z_{<=k} from the prior, for each k.

    k = 0 reconstructs x, and k = L draws from the model, whatever x is. Both conditionals of a
    layer are given the same noise: where they agree, as in a layer that has collapsed, the images
    with and without it are the same.

    Args:
        model: A trained model, in eval mode.
        x: From the likelihood's `prepare`, `(batch, features)`.
        noise: As for `HVAE.infer`, `(batch, d_l)` each.
        depths: Values of k, from 0 to L.

    Returns:
        On the scale of the stored values, 0 to 255 for pixels, `(len(depths), batch, features)`.

    Reference: Havtorn et al. (2021), section 4 and figure 2.
    """
    latents = [latent.z for latent in model.infer(x, noise)]
    means = [
        model.likelihood.mean(model.generate_below(latents, k, noise).parameters) for k in depths
    ]
    return torch.stack(means)
