"""Brackets of the mutual information I(x; z_l), and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from allocsearch.metrics.mixture import (
    component_log_density,
    mixture_log_density,
    posterior_log_density,
)

# Log densities evaluated for one lower bound; about half a second of one core.
_PAIRS = 1 << 26
_LEAST_DRAWS = 1024
_BATCHES = 50


@dataclass(frozen=True)
class InformationBracket:
    """Both sides of I(x; z_l), in nats.

    Args:
        lower: Lower bound, in [0, log n].
        upper: Upper bound, 0 or more.
        lower_se: Standard error of the lower bound.
        upper_se: Standard error of the upper bound.
        saturated: Whether the lower bound is limited by n rather than by the information.
        n: Number of examples.
        samples: S, the draws of each example.
    """

    lower: float
    upper: float
    lower_se: float
    upper_se: float
    saturated: bool
    n: int
    samples: int


def active_units(mean: Tensor, threshold: float = 0.01) -> int:
    """The latent dims whose posterior mean varies with x.

    Args:
        mean: Posterior means, `(n, d_l)`.
        threshold: Variance of the mean above which a dim is active.

    Raises:
        ValueError: If `mean` is not finite and `(n, d_l)` with n of 2 or more.

    Reference: Burda, Grosse and Salakhutdinov (2016), section 5.2.
    """
    if mean.dim() != 2 or len(mean) < 2 or not torch.isfinite(mean).all():
        raise ValueError(f"posterior means are finite and (n >= 2, d), not {_shape(mean)}")
    return int((mean.double().var(0) > threshold).sum())


def gaussian_information(mean: Tensor, log_var: Tensor, conditional_entropy: Tensor) -> Tensor:
    """Upper bound on I(x; z_l): a Gaussian's entropy with z_l's covariance, less h(z_l given x).

    The log determinant of a covariance from n examples is too small in the mean; its expectation
    under a Wishart distribution, with the effective number of varying dims, is made up for.

    Args:
        mean: Posterior means, `(n, d_l)`, or of S components per example, `(n, S, d_l)`.
        log_var: Posterior log variances, of the same shape.
        conditional_entropy: h(z_l given x) in nats, scalar, or a lower bound on it.

    Returns:
        Scalar, float64, nats. Equals I(x; z_l) when the aggregate posterior is Gaussian.

    Raises:
        ValueError: If `n <= d_l`, where the covariance is singular, or for values not finite.

    Reference: Cover and Thomas (2006), theorem 8.6.5; Anderson (2003), section 7.5.
    """
    mean, log_var = _components(mean, log_var)
    return _gaussian_entropy(mean, log_var).mean() - conditional_entropy.double()


def conditional_entropy(mean: Tensor, log_var: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bound on h(z_l given x).

    With S = 1, or S equal components, q(z_l given x) is that Gaussian and both are closed forms.
    Otherwise the lower one is the entropy of a mixture that has the generating component among
    its S. The upper one is the smaller of that without it, and of the entropy of a Gaussian with
    the mean covariance of z_l given x.

    Args:
        mean: Component means, `(n, S, d_l)`.
        log_var: Component log variances, `(n, S, d_l)`.
        z: One draw from each component, `(n, S, d_l)`.

    Returns:
        Two scalars, float64, nats.

    Raises:
        ValueError: If `n <= d_l`, for shapes that differ, or for values not finite.

    Reference: Yin and Zhou (2018); Sobolev and Vetrov (2019), theorem 1.
    """
    mean, log_var, z = _components(mean, log_var, z)
    noise = _component_entropy(log_var).mean()
    lower, upper = _mixing_entropy(mean, log_var, z)
    return noise + lower.mean(), noise + upper.mean()


def information_upper_bound(
    mean: Tensor,
    log_var: Tensor,
    z: Tensor,
    total_rate: Tensor | None = None,
    log_posterior: Tensor | None = None,
) -> tuple[float, float]:
    """The upper side of `information_bracket` alone, at a small part of its cost.

    Args:
        mean: Component means, `(n, S, d_l)`.
        log_var: Component log variances, `(n, S, d_l)`.
        z: One draw from each component, `(n, S, d_l)`.
        total_rate: Sum of the rates of all layers per example, `(n)`, nats.
        log_posterior: `reverse_log_density` of the first T draws, `(n, T)`, nats. It makes the
            upper bound of a layer above the first tight where I(z_l; z_{<l} given x) is more than
            log S.

    Returns:
        The bound and its standard error, nats.

    Raises:
        ValueError: If `n <= d_l`, for shapes that differ, or for values not finite.
    """
    mean, log_var, z = _components(mean, log_var, z)
    mixing = _mixing_entropy(mean, log_var, z)[0]
    mixing = _larger(mixing, _reverse_mixing(mean, log_var, z, log_posterior))
    return _upper(mean, log_var, mixing, total_rate)


def information_bracket(
    mean: Tensor,
    log_var: Tensor,
    z: Tensor,
    total_rate: Tensor | None = None,
    log_posterior: Tensor | None = None,
) -> InformationBracket:
    """Lower and upper bound on I(x; z_l) under q(x) q(z_l given x).

    The posterior of an example is the mixture of its S components: q(z_l given z_{<l}, x) at S
    draws of the layers below. With S = 1 (or S equal components, as in layer 1) it is that one
    Gaussian.

    Upper: `gaussian_information` with a lower bound on h(z_l given x), or the total rate where
    that is smaller. Lower: E log q(z_l given x) - E log q(z_l) with the plug-in aggregate
    posterior, the mixture of the components of all examples. The generating component is among
    them, so that its mean is the entropy of z_l given all components, which is at most h(z_l);
    for h(z_l given x) stands an upper bound. To bound the cost, the mean runs over evenly
    spaced draws, and where n is large the mixture over the components of the first draws only:
    both leave a lower bound. It cannot exceed log n less the width of the bracket of
    h(z_l given x), and counts as saturated above 0.9 of that.

    Args:
        mean: Component means, `(n, S, d_l)`.
        log_var: Component log variances, `(n, S, d_l)`.
        z: One draw from each component, `(n, S, d_l)`.
        total_rate: Sum of the rates of all layers per example, `(n)`, nats.
        log_posterior: `reverse_log_density` of the first T draws, `(n, T)`, nats. It makes the
            upper bound of a layer above the first tight where I(z_l; z_{<l} given x) is more than
            log S.

    Raises:
        ValueError: If `n <= d_l`, for shapes that differ, or for values not finite.

    Reference: Hoffman and Johnson (2016); Yin and Zhou (2018); Sobolev and Vetrov (2019).
    """
    mean, log_var, z = _components(mean, log_var, z)
    n, samples, _ = z.shape
    mixing_lower, mixing_upper = _mixing_entropy(mean, log_var, z)
    tighter = _larger(mixing_lower, _reverse_mixing(mean, log_var, z, log_posterior))
    upper, upper_se = _upper(mean, log_var, tighter, total_rate)
    gain, gain_se = _plug_in(mean, log_var, z)
    lower = gain - float(mixing_upper.mean())
    lower_se = math.hypot(gain_se, _standard_error(mixing_upper))
    ceiling = math.log(n) - float(mixing_upper.mean() - mixing_lower.mean())
    saturated = lower > 0.9 * ceiling
    if lower <= 0:
        # Zero is a lower bound without any error.
        lower, lower_se = 0.0, 0.0
    lower = min(lower, math.log(n))
    return InformationBracket(lower, upper, lower_se, upper_se, saturated, n, samples)


def retention(information: Sequence[float]) -> float:
    """Information retention I_1, what enters the hierarchy, in nats.

    Args:
        information: I_l of each layer bottom to top, nats.

    Raises:
        ValueError: If there is no layer, or a value is negative or not finite.
    """
    return _checked(information)[0]


def attenuation(information: Sequence[float]) -> float:
    """1 - I_L / max_l I_l, in [0, 1]: the part of the information that does not reach the top.

    Where no layer holds any information nothing reaches the top: 1.

    Args:
        information: I_l of each layer bottom to top, nats.

    Raises:
        ValueError: If there is no layer, or a value is negative or not finite.
    """
    values = _checked(information)
    most = max(values)
    return 1 - values[-1] / most if most > 0 else 1.0


def _checked(information: Sequence[float]) -> list[float]:
    values = [float(value) for value in information]
    if not values or not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError(f"information is finite and 0 or more in every layer, not {values}")
    return values


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _components(*tensors: Tensor) -> list[Tensor]:
    """The tensors as float64 `(n, S, d_l)`, checked."""
    shapes = {_shape(tensor) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(f"mean, log_var and z differ in shape: {sorted(shapes)}")
    double = [t.detach().cpu().double() for t in tensors]
    if double[0].dim() == 2:
        double = [tensor[:, None] for tensor in double]
    if double[0].dim() != 3 or 0 in double[0].shape:
        raise ValueError(f"components are (n, S, d), not {_shape(tensors[0])}")
    if not all(torch.isfinite(tensor).all() for tensor in double):
        raise ValueError("mean, log_var or z holds a value that is not finite")
    n, _, d = double[0].shape
    if n <= d:
        raise ValueError(f"{n} examples for {d} dims: a covariance takes more examples than dims")
    mean, log_var = double[:2]
    if (mean == mean[:, :1]).all() and (log_var == log_var[:, :1]).all():
        double[:2] = [mean[:, :1], log_var[:, :1]]
    return double


def _component_entropy(log_var: Tensor) -> Tensor:
    """Mean entropy of the components of each example, `(n)`, nats."""
    entropy: Tensor = 0.5 * (log_var + math.log(2 * math.pi * math.e)).sum(-1).mean(1)
    return entropy


def _log_det_bias(covariance: Tensor, part: Tensor, freedom: int) -> Tensor:
    """What log det of `covariance` lacks in the mean because `part` of it is a sample covariance.

    Exact where `part` has the rank k, spans k dims alone, and is Wishart with `freedom` degrees.
    """
    d = len(covariance)
    if freedom <= 0:
        return torch.zeros((), dtype=torch.float64)
    varying = torch.linalg.solve(covariance, part).diagonal().sum().clamp(0, min(d, freedom))
    order = torch.arange(d, dtype=torch.float64)
    share = (varying - order).clamp(0, 1)
    degrees = (freedom - order).clamp_min(1)
    lack: Tensor = (share * (math.log(freedom / 2) - torch.digamma(degrees / 2))).sum()
    return lack


def _moments(mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and covariance of z_l, and the component variances of each example `(n, d_l)`."""
    center = mean.mean((0, 1))
    deviations = (mean - center).reshape(-1, mean.shape[-1])
    noise = torch.exp(log_var).mean(1)
    covariance = deviations.T @ deviations / len(deviations) + torch.diag(noise.mean(0))
    return center, covariance, noise


def _gaussian_entropy(mean: Tensor, log_var: Tensor) -> Tensor:
    """Entropy of a Gaussian with z_l's covariance, linearised to a mean over examples, `(n)`."""
    n, samples, _ = mean.shape
    center, covariance, noise = _moments(mean, log_var)
    between = mean.mean(1) - center
    within = _within(mean) * (samples - 1) / samples
    lack = _log_det_bias(covariance, between.T @ between / n, n - 1)
    lack = lack + _log_det_bias(covariance, within, n * (samples - 1))
    # Deviations are from the mean of n examples, not from the expectation.
    spread = torch.linalg.solve(covariance, between.T @ between / n).diagonal().sum() / n
    entropy: Tensor = _linearised(covariance, mean - center, noise) + 0.5 * (lack + spread)
    return entropy


def _linearised(covariance: Tensor, deviations: Tensor, noise: Tensor) -> Tensor:
    """Gaussian entropy of a covariance, with the influence of each example, `(n)`."""
    d = len(covariance)
    log_det = torch.linalg.slogdet(covariance)[1]
    squares = _squares(deviations, covariance).mean(1)
    squares = squares + noise @ torch.linalg.inv(covariance).diagonal()
    entropy: Tensor = 0.5 * (d * math.log(2 * math.pi) + log_det + squares)
    return entropy


def _squares(deviations: Tensor, covariance: Tensor) -> Tensor:
    """Squared Mahalanobis lengths of deviations `(..., d_l)`."""
    # Of all examples at once: broadcast, the covariance would be factorised for each.
    rows = deviations.flatten(0, -2)
    squares: Tensor = (torch.linalg.solve(covariance, rows.T).T * rows).sum(-1)
    return squares.reshape(deviations.shape[:-1])


def _within(mean: Tensor) -> Tensor:
    """Mean covariance of the component means of one example, `(d_l, d_l)`."""
    n, samples, d = mean.shape
    deviations = (mean - mean.mean(1, keepdim=True)).reshape(-1, d)
    covariance: Tensor = deviations.T @ deviations / (n * max(samples - 1, 1))
    return covariance


def _mixing_entropy(mean: Tensor, log_var: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bound on h(z_l given x) less the entropy of the components, each `(n)`.

    The entropy of the components is a closed form, so that only the rest has a sampling error.
    """
    n, samples, _ = mean.shape
    if samples == 1:
        zero = torch.zeros(n, dtype=torch.float64)
        return zero, zero
    own = component_log_density(z, mean, log_var)
    included, excluded = posterior_log_density(mean, log_var, z)
    within = _within(mean)
    noise = torch.exp(log_var).mean(1)
    covariance = within + torch.diag(noise.mean(0))
    # Deviations from the mean of S draws are too small by sqrt((S - 1) / S).
    deviations = (mean - mean.mean(1, keepdim=True)) * math.sqrt(samples / (samples - 1))
    gaussian = _linearised(covariance, deviations, noise) - _component_entropy(log_var)
    gaussian = gaussian + 0.5 * _log_det_bias(covariance, within, n * (samples - 1))
    without = (own - excluded).mean(1)
    upper = gaussian if gaussian.mean() < without.mean() else without
    return (own - included).mean(1), upper


def _reverse_mixing(
    mean: Tensor, log_var: Tensor, z: Tensor, log_posterior: Tensor | None
) -> Tensor | None:
    if log_posterior is None:
        return None
    n, samples, _ = z.shape
    draws = log_posterior.shape[-1] if log_posterior.dim() == 2 else 0
    if not (len(log_posterior) == n and 1 <= draws <= samples):
        raise ValueError(f"log_posterior is (n, T <= S), not {_shape(log_posterior)}")
    if not torch.isfinite(log_posterior).all():
        raise ValueError("log_posterior holds a value that is not finite")
    own = component_log_density(z, mean, log_var)[:, :draws]
    return (own - log_posterior.detach().cpu().double()).mean(1)


def _larger(values: Tensor, other: Tensor | None) -> Tensor:
    return values if other is None or other.mean() <= values.mean() else other


def _upper(
    mean: Tensor, log_var: Tensor, mixing: Tensor, total_rate: Tensor | None
) -> tuple[float, float]:
    terms = _gaussian_entropy(mean, log_var) - _component_entropy(log_var) - mixing
    if total_rate is not None:
        if _shape(total_rate) != (len(mean),) or not torch.isfinite(total_rate).all():
            raise ValueError(
                f"the total rate is finite and ({len(mean)},), not {_shape(total_rate)}"
            )
        rate = total_rate.detach().cpu().double()
        terms = rate if rate.mean() < terms.mean() else terms
    return max(float(terms.mean()), 0.0), _standard_error(terms)


def _plug_in(mean: Tensor, log_var: Tensor, z: Tensor) -> tuple[float, float]:
    """Lower bound on h(z_l) less the entropy of the components, and its standard error."""
    n, draws, d = z.shape
    # Equal components stand for one, which all draws of an example share.
    single = mean.shape[1] == 1
    kept = 1 if single else max(1, min(draws, _PAIRS // (_LEAST_DRAWS * n)))
    if not single:
        draws = kept
    q = min(n * draws, max(_LEAST_DRAWS, _PAIRS // (n * kept)))
    chosen = torch.arange(q) * (n * draws) // q
    example, draw = chosen // draws, chosen % draws
    component = torch.zeros_like(draw) if single else draw
    query = z[example, draw]
    mixture = mixture_log_density(
        query, mean[:, :kept].reshape(-1, d), log_var[:, :kept].reshape(-1, d)
    )
    own = component_log_density(query, mean[example, component], log_var[example, component])
    # Two control variates of known mean, the density of the component and that of a Gaussian:
    # the first is the better one near saturation, the second far from it.
    by_component = own - mixture
    center, covariance, noise = _moments(mean, log_var)
    deviations = mean - center
    gaussian = _linearised(covariance, deviations, noise) - _component_entropy(log_var)
    squares = _squares(query - center, covariance)
    log_det = torch.linalg.slogdet(covariance)[1]
    by_gaussian = -0.5 * (d * math.log(2 * math.pi) + log_det + squares) - mixture
    component_se = _standard_error(by_component)
    gaussian_se = math.hypot(_standard_error(gaussian), _standard_error(by_gaussian))
    if component_se <= gaussian_se:
        return float(by_component.mean()), component_se
    return float(gaussian.mean() + by_gaussian.mean()), gaussian_se


def _standard_error(values: Tensor) -> float:
    """Standard error of the mean by the means of consecutive batches."""
    batches = min(_BATCHES, len(values))
    means = torch.stack([part.mean() for part in values.tensor_split(batches)])
    return float(means.std() / math.sqrt(batches)) if batches > 1 else math.inf
