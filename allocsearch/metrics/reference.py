"""What scores know of ID data: statistics of the evidence of training examples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.covariance import ShrunkCovariance
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.finite import check_finite

# Components of the density that are tried; the Bayesian information criterion chooses.
_COMPONENTS = (1, 2, 4, 8)
_LEAST_SD = 1e-6
# Enough for a layer that is collapsed; more would blur bounds that differ by little.
_SHRINKAGE = 1e-4


def summary(evidence: Evidence) -> Tensor:
    """The vector that stands for an example: the layers' divergences and the bounds -L^{>k}.

    Returns:
        Nats, `(n, 2 L)`, float64.
    """
    bounds = [-evidence.bound(k) for k in range(evidence.layers)]
    return torch.cat([evidence.divergence, torch.stack(bounds, 1)], 1).double()


@dataclass(frozen=True)
class Reference:
    """Statistics of ID training examples; all tensors float64.

    Attributes:
        elbo: Mean ELBO, nats, scalar.
        ratio_sd: Standard deviation of L^{>k-1} - L^{>k}, k = 1, ..., L - 1, nats, `(L - 1,)`.
        mean: Of `summary`, nats, `(2 L,)`.
        sd: Of `summary`, nats, `(2 L,)`.
        precision: Inverse covariance of the standardised summary, `(2 L, 2 L)`.
        weights: Of the components of the density of the standardised summary, `(c,)`.
        means: Theirs, `(c, 2 L)`.
        covariances: Theirs, `(c, 2 L, 2 L)`.
    """

    elbo: Tensor
    ratio_sd: Tensor
    mean: Tensor
    sd: Tensor
    precision: Tensor
    weights: Tensor
    means: Tensor
    covariances: Tensor

    @classmethod
    def fit(cls, evidence: Evidence) -> Reference:
        """From the evidence of ID training examples, and of nothing else.

        The density is a mixture of Gaussians, whose number of components has the least Bayesian
        information criterion. The complexity is not read.

        Args:
            evidence: Of n examples, 2 or more.

        Raises:
            NotFiniteError: If some of it is NaN or infinite.
        """
        totals = {name: float(tensor.sum()) for name, tensor in vars(evidence).items()}
        check_finite(totals, "training data")
        vectors = summary(evidence)
        mean, sd = vectors.mean(0), vectors.std(0).clamp(min=_LEAST_SD)
        standard = ((vectors - mean) / sd).numpy()
        mixtures = [
            GaussianMixture(count, reg_covar=1e-3, random_state=0).fit(standard)
            for count in _COMPONENTS
            if count == 1 or len(standard) >= 10 * count * standard.shape[1]
        ]
        mixture = min(mixtures, key=lambda fitted: fitted.bic(standard))
        bounds = [evidence.bound(k).double() for k in range(evidence.layers)]
        ratios = [float((lower - upper).std()) for lower, upper in pairwise(bounds)]
        return cls(
            bounds[0].mean(),
            torch.tensor(ratios, dtype=torch.float64).clamp(min=_LEAST_SD),
            mean,
            sd,
            _tensor(ShrunkCovariance(shrinkage=_SHRINKAGE).fit(standard).precision_),
            _tensor(mixture.weights_),
            _tensor(mixture.means_),
            _tensor(mixture.covariances_),
        )

    def standardised(self, evidence: Evidence) -> Tensor:
        """The summary in standard deviations of the training examples, `(n, 2 L)`."""
        return (summary(evidence) - self.mean) / self.sd

    def mahalanobis(self, evidence: Evidence) -> Tensor:
        """The distance from the mean of the training examples, `(n,)`.

        Reference: Lee et al. (2018), "A simple unified framework for detecting
        out-of-distribution samples", there over the features of a classifier.
        """
        z = self.standardised(evidence)
        return torch.einsum("ni,ij,nj->n", z, self.precision, z).clamp(min=0).sqrt()

    def negative_log_density(self, evidence: Evidence) -> Tensor:
        """-log of the mixture's density at the standardised summary, nats, `(n,)`."""
        components = MultivariateNormal(self.means, self.covariances)
        mixture = MixtureSameFamily(Categorical(self.weights), components)
        density: Tensor = mixture.log_prob(  # type: ignore[no-untyped-call]
            self.standardised(evidence)
        )
        return -density


def _tensor(array: object) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))
