"""OOD scores of examples under a model: larger always means more OOD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from allocsearch.metrics.complexity import COMPRESSORS
from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.reference import Reference


@dataclass(frozen=True)
class Score:
    """An OOD score.

    Attributes:
        compute: From evidence of n examples and the reference to scores, `(n,)`.
        passes: The k of the bounds L^{>k} that it reads in the evidence; none for divergences.
        compressed: Whether it reads the complexity.
    """

    compute: Callable[[Evidence, Reference], Tensor]
    passes: tuple[int, ...] = (0,)
    compressed: bool = False


def score_all(evidence: Evidence, reference: Reference) -> dict[str, Tensor]:
    """Every score of `cheap_scores` by name.

    Args:
        evidence: Of the examples.
        reference: Of ID training examples under the same model.

    Returns:
        Nats, or standard deviations, each `(n,)`, float32.
    """
    scores = cheap_scores(evidence.layers, compressed=evidence.complexity.shape[1] > 0)
    return {name: score.compute(evidence, reference).float() for name, score in scores.items()}


def cheap_scores(layers: int, *, compressed: bool) -> dict[str, Score]:
    """Every cheap OOD score by name, for k = 1, ..., L - 1 and l = 1, ..., L.

    - `negative_elbo`.
    - `negative_bound_k`, -L^{>k}, and `llr_k`, LLR^{>k} = L^{>0} - L^{>k} (Havtorn et al. 2021,
      equations 6 and 8).
    - `negative_iw_elbo`, `negative_iw_bound_k`, `iw_llr_k`: the same of importance-weighted
      bounds.
    - `kl_l`, the KL divergence of layer l in closed form; `kl_z_l` in standard deviations from
      the mean of ID training examples, and `kl_abs_z_l` without the sign: the top layer's KL can
      be lower for OOD examples.
    - `mahalanobis` and `density`: distance and negative log density of the vector of all
      divergences and bounds under ID training examples.
    - `weighted_llr`: the sum over k of (L^{>k-1} - L^{>k}) in standard deviations of ID training
      examples, so that each step up the hierarchy counts by what is unusual in it; after the
      idea of the adaptive likelihood ratio (Li et al. 2022), with other weights than theirs.
    - `typicality`, |ELBO - mean ELBO of ID training examples| (Nalisnick et al. 2019).
    - `complexity_png`, `complexity_zlib`: negative ELBO less the length that the compressor
      needs (Serra et al. 2020, equation 2), where the examples are grey levels or colours: ids of
      tokens are no scale that an image format knows, and pads would count.

    Args:
        layers: L.
        compressed: Whether the examples are grey levels or colours.
    """
    skipped, every = range(1, layers), tuple(range(layers))
    scores = {"negative_elbo": Score(lambda e, _: -e.bound(0))}
    scores |= {f"negative_bound_{k}": _negative_bound(k) for k in skipped}
    scores |= {f"llr_{k}": _ratio(k) for k in skipped}
    scores["negative_iw_elbo"] = Score(lambda e, _: -e.importance[:, 0])
    scores |= {f"negative_iw_bound_{k}": _negative_weighted_bound(k) for k in skipped}
    scores |= {f"iw_llr_{k}": _weighted_ratio(k) for k in skipped}
    for layer in range(1, layers + 1):
        scores |= _of_layer(layer)
    scores["mahalanobis"] = Score(lambda e, reference: reference.mahalanobis(e), every)
    scores["density"] = Score(lambda e, reference: reference.negative_log_density(e), every)
    if skipped:
        scores["weighted_llr"] = Score(_sum_of_steps, every)
    scores["typicality"] = Score(lambda e, reference: (e.bound(0) - reference.elbo).abs())
    if compressed:
        scores |= {
            f"complexity_{name}": _less_complexity(index) for index, name in enumerate(COMPRESSORS)
        }
    return scores


def _negative_bound(k: int) -> Score:
    return Score(lambda e, _: -e.bound(k), (k,))


def _ratio(k: int) -> Score:
    return Score(lambda e, _: e.bound(0) - e.bound(k), (0, k))


def _negative_weighted_bound(k: int) -> Score:
    return Score(lambda e, _: -e.importance[:, k], (k,))


def _weighted_ratio(k: int) -> Score:
    return Score(lambda e, _: e.importance[:, 0] - e.importance[:, k], (0, k))


def _of_layer(layer: int) -> dict[str, Score]:
    index = layer - 1
    return {
        f"kl_{layer}": Score(lambda e, _: e.divergence[:, index], ()),
        f"kl_z_{layer}": Score(lambda e, reference: reference.standardised(e)[:, index], ()),
        f"kl_abs_z_{layer}": Score(
            lambda e, reference: reference.standardised(e)[:, index].abs(), ()
        ),
    }


def _sum_of_steps(evidence: Evidence, reference: Reference) -> Tensor:
    bounds = [evidence.bound(k) for k in range(evidence.layers)]
    skipped = range(1, evidence.layers)
    steps = [(bounds[k - 1] - bounds[k]) / reference.ratio_sd[k - 1] for k in skipped]
    return sum(steps[1:], steps[0])


def _less_complexity(index: int) -> Score:
    return Score(lambda e, _: -e.bound(0) - e.complexity[:, index], compressed=True)
