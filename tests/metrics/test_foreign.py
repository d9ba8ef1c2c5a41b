from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.distributions import Laplace, Normal

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.digits import read_digits
from allocsearch.data.splits import SearchData
from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.metrics.evidence import collect_evidence
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.metrics.foreign import measure_foreign
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.training.loop import train


def wrapped(model, *, rates=True):
    """Our own model as if it were somebody else's; of x with binary values nothing is drawn."""

    def terms(x, skip=0):
        inputs = model.likelihood.prepare(x, torch.Generator())
        noise = [torch.randn(len(x), width) for width in model.widths]
        latents = model.infer(inputs, noise)
        return latents, model.bound_terms(inputs, latents, skip)

    class Likelihoods:
        def per_layer_posteriors(self, x):
            latents, _ = terms(x)
            found = [latent.posterior for latent in latents]
            return [Normal(each.mean, torch.exp(0.5 * each.log_var)) for each in found]

        def log_likelihood(self, x, skip=0):
            return terms(x, skip)[1].log_likelihood

    class Rates(Likelihoods):
        def kl(self, x):
            return torch.stack([each.sum(-1) for each in terms(x)[1].kl], 1)

    return Rates() if rates else Likelihoods()


@pytest.fixture(scope="module")
def data():
    values, _ = read_digits()
    values = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]
    binary = 255 * (values > 100).to(torch.uint8)
    return SearchData(
        Dataset("train", binary[:600]),
        Dataset("validation", binary[600:1000]),
        (
            Dataset("inverted", 255 - binary[1000:1200]),
            Dataset("turned", binary[1200:1400].transpose(1, 2).contiguous()),
        ),
    )


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
def test_our_own_model_is_measured_as_ever(data, inference):
    section = ModelSection(hidden=24, depth=1, inference=inference)
    model = build_model(Allocation((5, 3, 2)), (64,), section, 0)
    train(model, data.train.values, TrainingSection(epochs=6, batch_size=50), 0)
    settings = Settings(score="llr_1", samples=16, score_samples=8, batch_size=100, seed=3)
    wanted = measure(model, data, settings).metrics
    ood = {each.name: each.values for each in data.ood_validation}
    found = measure_foreign(
        wrapped(model),
        data.train.values,
        data.validation.values,
        ood,
        score="llr_1",
        score_samples=8,
        batch_size=100,
    )
    left_out = [name for name in wanted if name not in found]
    assert all("iw_" in n or "complexity" in n or "explained" in n for n in left_out), left_out
    assert set(found) <= set(wanted)
    # Our own scores by divergences take closed forms, a foreign model draws.
    drawn = ("_se", "saturated", ".kl_", ".mahalanobis", ".density")
    compared = [name for name in found if not any(part in name for part in drawn)]
    assert {"elbo", "rate_3", "auroc.turned.llr_2", "auroc.inverted.typicality"} <= set(compared)
    for name in compared:
        # Other draws of the latents: 4 standard errors where they are known.
        if name.startswith("information"):
            layer = name[-1]
            kind = "information_lower_se_" if "lower" in name else "information_se_"
            tolerance = 4 * math.hypot(found[kind + layer], wanted[kind + layer]) + 0.05
        elif name.startswith(("auroc", "aupr")):
            tolerance = 0.05
        elif name.startswith("fpr"):
            tolerance = 0.15
        else:
            tolerance = 0.05 * abs(wanted[name]) + 0.1
        assert abs(found[name] - wanted[name]) <= tolerance, name
    assert found["active_units_1"] == wanted["active_units_1"]
    sets = {"validation": data.validation.values, **ood}
    kl = {name: collect_evidence(model, x, 8, 100, 5).kl for name, x in sets.items()}
    for name, layer in itertools.product(ood, range(3)):
        own = auroc(kl["validation"][:, layer], kl[name][:, layer])
        assert abs(found[f"auroc.{name}.kl_{layer + 1}"] - own) < 0.07


class Linear:
    """q(z_1 given x) = N(W x, s^2), q(z_2 given z_1) = N(V z_1, t^2)."""

    def __init__(self, dims, s=0.5, t=0.5):
        below, self.weights, self.deviations = dims[0], [], (s, t)
        generator = torch.Generator().manual_seed(5)
        for d in dims[1:]:
            self.weights.append(torch.randn(d, below, generator=generator))
            below = d

    def per_layer_posteriors(self, x):
        normals, z = [], x
        for weight, deviation in zip(self.weights, self.deviations, strict=True):
            normals.append(Normal(z @ weight.T, torch.tensor(deviation)))
            z = normals[-1].sample()
        return [Normal(n.mean, n.stddev.expand_as(n.mean)) for n in normals]

    def log_likelihood(self, x, skip=0):
        return -(1.0 + skip) * x.square().sum(-1)

    def information(self, variance):
        """I(x; z_1) and I(x; z_2) for x of independent Gaussians, in closed form."""
        within = torch.zeros(len(variance), len(variance)).double()
        signal, found = torch.diag(variance.double()), []
        for weight, deviation in zip(self.weights, self.deviations, strict=True):
            w = weight.double()
            signal = w @ signal @ w.T
            within = w @ within @ w.T + deviation**2 * torch.eye(len(w)).double()
            found.append(0.5 * float(torch.logdet(signal + within) - torch.logdet(within)))
        return found


class LinearWithRates(Linear):
    def kl(self, x):
        return torch.stack([x[:, 0].square(), x[:, 1].square()], 1) + 50.0


VARIANCE = torch.tensor([4.0, 2.0, 1.0, 0.5])


def gaussian(n, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, 4, generator=generator) * VARIANCE.sqrt()


def test_information_of_a_linear_gaussian_model():
    model = Linear((4, 3, 2))
    one, two = model.information(VARIANCE)
    found = measure_foreign(model, gaussian(50, 0), gaussian(4000, 1), samples=32)
    assert abs(found["information_1"] - one) < 4 * found["information_se_1"]
    assert abs(found["information_2"] - two) < 4 * found["information_se_2"] + 0.02
    assert found["retention"] == found["information_1"]
    assert found["attenuation"] == 1 - found["information_2"] / found["information_1"]
    for layer, truth in enumerate((one, two), 1):
        noise = 4 * found[f"information_lower_se_{layer}"]
        assert 0.8 * truth < found[f"information_lower_{layer}"] < truth + noise
    assert found["active_units_1"] == 3
    assert "rate" not in found
    assert "auroc" not in found


def test_scores_with_rates_are_those_of_the_bounds():
    train_, held_out, ood = gaussian(300, 0), gaussian(400, 1), gaussian(300, 2, scale=1.5)
    found = measure_foreign(
        LinearWithRates((4, 3, 2)), train_, held_out, {"wide": ood}, score="llr_1"
    )
    x = torch.cat([held_out, ood]).double()
    labels = np.arange(len(x)) >= len(held_out)
    # LLR^{>1} = L^{>0} - L^{>1}, written out.
    kl = torch.stack([x[:, 0].square(), x[:, 1].square()], 1) + 50.0
    llr = x.square().sum(-1) - kl[:, 0]
    assert found["auroc.wide.llr_1"] == pytest.approx(roc_auc_score(labels, llr), abs=1e-3)
    assert found["auroc"] == found["auroc_worst"] == found["auroc.wide.llr_1"]
    assert found["auroc.wide.kl_1"] == pytest.approx(roc_auc_score(labels, kl[:, 0]), abs=1e-3)
    elbo = -held_out.square().sum(-1) - kl[: len(held_out)].sum(1)
    assert found["elbo"] == pytest.approx(float(elbo.mean()), rel=1e-5)
    assert found["rate_2"] == pytest.approx(float(kl[: len(held_out), 1].mean()), rel=1e-5)
    assert found["auroc_low"] < found["auroc"] < found["auroc_high"]


def test_scores_without_rates_are_those_of_the_likelihoods():
    held_out, ood = gaussian(400, 1), gaussian(300, 2, scale=1.5)
    found = measure_foreign(Linear((4, 3, 2)), gaussian(300, 0), held_out, {"wide": ood})
    x = torch.cat([held_out, ood])
    labels = np.arange(len(x)) >= len(held_out)
    wanted = roc_auc_score(labels, x.square().sum(-1))
    assert found["auroc.wide.negative_log_likelihood"] == pytest.approx(wanted, abs=1e-3)
    assert found["auroc.wide.likelihood_ratio_1"] == pytest.approx(wanted, abs=1e-3)
    assert found["distortion"] == pytest.approx(float(held_out.square().sum(-1).mean()), rel=1e-5)
    assert found["distortion_skip_1"] == pytest.approx(2 * found["distortion"], rel=1e-5)


def test_the_total_rate_bounds_the_information():
    class Little(Linear):
        def kl(self, x):
            return torch.full((len(x), 2), 0.25)

    found = measure_foreign(Little((4, 3, 2)), gaussian(100, 0), gaussian(500, 1))
    assert found["information_1"] == pytest.approx(0.5)


def test_equal_seeds_give_equal_numbers_and_leave_the_generator_alone():
    model, x = Linear((4, 3, 2)), gaussian(200, 1)
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first = measure_foreign(model, x, x, seed=1, batch_size=70)
    assert torch.equal(torch.get_rng_state(), before)
    assert measure_foreign(model, x, x, seed=1, batch_size=70) == first
    assert measure_foreign(model, x, x, seed=2, batch_size=70) != first


def changed(name, function):
    model = LinearWithRates((4, 3, 2))
    setattr(model, name, function)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            changed("per_layer_posteriors", lambda x: [Laplace(x, x.exp())]),
            "per_layer_posteriors: layer 1 is Laplace; allowed: Normal",
        ),
        (
            changed("per_layer_posteriors", lambda x: [Normal(x[:, 0], 1.0)]),
            r"per_layer_posteriors: layer 1 has the shape \(100,\); allowed: \(100, d_l\)",
        ),
        (
            changed("per_layer_posteriors", lambda x: [Normal(x[1:], 1.0)]),
            r"per_layer_posteriors: layer 1 has the shape \(99, 4\)",
        ),
        (changed("per_layer_posteriors", lambda x: []), "per_layer_posteriors gives no layer"),
        (
            changed("log_likelihood", lambda x, skip: x),
            r"log_likelihood with skip=0 gives \(100, 4\); allowed: a tensor of the shape \(1",
        ),
        (changed("log_likelihood", lambda x, skip: 0.0), "log_likelihood with skip=0 gives float"),
        (
            changed("kl", lambda x: x),
            r"kl gives \(100, 4\); allowed: a tensor of the shape \(100, 2\)",
        ),
    ],
)
def test_what_the_protocol_does_not_say_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        measure_foreign(model, gaussian(100, 0), gaussian(100, 1), samples=2)


def test_what_is_not_finite_is_refused():
    model = changed("log_likelihood", lambda x, skip: x.sum(-1) / 0.0)
    with pytest.raises(NotFiniteError, match="log_likelihood with skip=0 gives a value that is n"):
        measure_foreign(model, gaussian(100, 0), gaussian(100, 1), samples=2)


def test_scores_and_sets_that_are_none():
    x, model = gaussian(100, 0), Linear((4, 3, 2))
    with pytest.raises(
        ValueError, match="no score 'llr_1'; allowed: auto, negative_log_likelihoo"
    ):
        measure_foreign(model, x, x, {"wide": 2 * x}, score="llr_1", samples=2)
    with pytest.raises(ValueError, match="an OOD set is called 'validation'"):
        measure_foreign(model, x, x, {"validation": x}, samples=2)
