"""OOD scores of examples under a model: larger always means more OOD."""

from __future__ import annotations

from torch import Tensor

from allocsearch.metrics.complexity import COMPRESSORS
from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.reference import Reference


def score_all(evidence: Evidence, reference: Reference) -> dict[str, Tensor]:
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
      needs (Serra et al. 2020, equation 2), where the examples are bytes.

    Args:
        evidence: Of the examples.
        reference: Of ID training examples under the same model.

    Returns:
        Nats, or standard deviations, each `(n,)`, float32.
    """
    skipped = range(1, evidence.layers)
    bounds = [evidence.bound(k) for k in range(evidence.layers)]
    weighted = [evidence.importance[:, k] for k in range(evidence.layers)]
    scores: dict[str, Tensor] = {}
    for prefix, values in (("", bounds), ("iw_", weighted)):
        scores[f"negative_{prefix}elbo"] = -values[0]
        scores |= {f"negative_{prefix}bound_{k}": -values[k] for k in skipped}
        scores |= {f"{prefix}llr_{k}": values[0] - values[k] for k in skipped}
    standard = reference.standardised(evidence)
    for index in range(evidence.layers):
        scores[f"kl_{index + 1}"] = evidence.divergence[:, index]
        scores[f"kl_z_{index + 1}"] = standard[:, index]
        scores[f"kl_abs_z_{index + 1}"] = standard[:, index].abs()
    scores["mahalanobis"] = reference.mahalanobis(evidence)
    scores["density"] = reference.negative_log_density(evidence)
    if skipped:
        steps = [(bounds[k - 1] - bounds[k]) / reference.ratio_sd[k - 1] for k in skipped]
        scores["weighted_llr"] = sum(steps[1:], steps[0])
    scores["typicality"] = (bounds[0] - reference.elbo).abs()
    if evidence.complexity.shape[1]:
        for index, name in enumerate(COMPRESSORS):
            scores[f"complexity_{name}"] = -bounds[0] - evidence.complexity[:, index]
    return {name: score.float() for name, score in scores.items()}
