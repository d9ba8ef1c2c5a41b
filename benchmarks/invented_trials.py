"""Studies of any size whose trials were never trained, but look as if they had been."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from bulk_trials import add_trials
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.search import records
from allocsearch.search.sampling.proposal import FIXED_PARAMS
from allocsearch.search.sampling.repeats import training_seed
from allocsearch.search.slots import fill
from allocsearch.search.storage import CONFIG_NAME, open_study, write_atomically
from allocsearch.spaces import Space, build_space

_SETS = ("Omniglot", "segment_deletion")
_SCORES = (
    *("negative_elbo", "negative_bound_1", "negative_bound_2", "llr_1", "llr_2"),
    *("negative_iw_elbo", "negative_iw_bound_1", "negative_iw_bound_2", "iw_llr_1", "iw_llr_2"),
    *(f"{kind}_{layer}" for layer in (1, 2, 3) for kind in ("kl", "kl_z", "kl_abs_z")),
    *("mahalanobis", "density", "weighted_llr", "typicality"),
    *("complexity_png", "complexity_zlib"),
)
# Of 100 trials; the others are complete.
_PRUNED, _FAILED, _INTERRUPTED = 4, 2, 1
# Of 100 trials, those that train an allocation again.
_AGAIN = 20
_RUNG = 0.5
_START = datetime(2026, 1, 1)
_PROVENANCE = {
    **{"python": "3.11.7", "allocsearch": "0.1.0", "torch": "2.15.0", "numpy": "2.4.6"},
    **{"optuna": "5.0.0", "scikit-learn": "1.9.1", "data": f"{0x440369E3:x}" * 8},
}


def invented_config(
    trials: int, layers: int, storage: str | None, name: str, early_stopping: str = "auto"
) -> StudyConfig:
    """A study of FashionMNIST with a budget of 88 and a rung."""
    return StudyConfig.model_validate(
        {
            "study": {"name": name, "trials": trials, "storage": storage},
            "search_space": {"budget": 88, "layers": layers},
            "data": {"id": "FashionMNIST", "ood_validation": [*_SETS]},
            "early_stopping": {"mode": early_stopping, "rungs": [_RUNG]},
        }
    )


def invented_study(config: StudyConfig, finished: int, folder: Path) -> optuna.Study:
    """A study with so many finished trials and the rest of its trials waiting, in a run folder."""
    space = build_space(config.search_space)
    write_atomically(folder / CONFIG_NAME, config.to_toml())
    study = open_study(config, folder, create=True)
    add_trials(study, [*_trials(config, space, finished)])
    fill(study, config, space)
    return study


def _trials(config: StudyConfig, space: Space, finished: int) -> Iterator[FrozenTrial]:
    source = random.Random(finished)
    unused = source.sample(range(space.size), space.size)
    # Allocations that can be trained again, and how often they have been.
    open_ones: list[tuple[Allocation, int]] = []
    number = 0
    for slot in range(finished):
        if unused and not (open_ones and source.randrange(100) < _AGAIN):
            allocation, replicate = space[unused.pop()], 0
        else:
            allocation, replicate = open_ones.pop(source.randrange(len(open_ones)))
        if replicate + 1 < config.study.replicates:
            open_ones.append((allocation, replicate + 1))
        known = {
            records.SLOT: slot,
            records.ALLOCATION: str(allocation),
            records.RATIO: allocation.ratio,
            records.REPLICATE: replicate,
            records.SEED: training_seed(config.study.seed, allocation, replicate),
            records.WORKER: f"host:{1000 + slot % 8}:1795416603.38",
        }
        params = space.params(allocation)
        if source.randrange(100) < _INTERRUPTED:
            ended = {records.INTERRUPTED: True, records.REASON: "the worker died"}
            yield _trial(number, TrialState.FAIL, params, {**known, **ended})
            known[records.RETRY_OF] = number
            number += 1
        yield _ended(number, config, space, allocation, params, known, source)
        number += 1


def _ended(
    number: int,
    config: StudyConfig,
    space: Space,
    allocation: Allocation,
    params: dict[str, Any],
    known: dict[str, Any],
    source: random.Random,
) -> FrozenTrial:
    metrics = invented_metrics(allocation, source)
    values = [metrics[objective.metric] for objective in config.study.parsed_objectives]
    kind = source.randrange(100)
    if kind < _FAILED:
        return _trial(number, TrialState.FAIL, params, {**known, records.REASON: "loss is nan"})
    early = [value * source.uniform(0.8, 1.0) for value in values]
    reached = {records.RUNGS: [{"rung": _RUNG, "values": early, "judged": kind % 2 == 0}]}
    if kind < _FAILED + _PRUNED:
        ended = {**reached, records.REASON: f"not among the best 1/3 at the rung {_RUNG}"}
        return _trial(number, TrialState.PRUNED, params, {**known, **ended})
    ended = {
        **reached,
        records.METRICS: metrics,
        records.SCORE: source.choice(_SCORES[3:6]),
        records.PROVENANCE: _PROVENANCE,
        records.BROKEN_INVARIANTS: [],
        records.PROGRESS: {"epoch": 20, "epochs": 20, "elbo": metrics["elbo"]},
    }
    return _trial(number, TrialState.COMPLETE, params, {**known, **ended}, values)


def _trial(
    number: int,
    state: TrialState,
    params: dict[str, Any],
    attributes: dict[str, Any],
    values: list[float] | None = None,
) -> FrozenTrial:
    trial = create_trial(
        state=state,
        values=values,
        params=params,
        distributions={name: FloatDistribution(0.0, 1.0) for name in params},
        user_attrs=attributes,
        system_attrs={FIXED_PARAMS: params},
    )
    trial.datetime_start = _START + timedelta(seconds=40 * number)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=40)
    return trial


def invented_metrics(allocation: Allocation, source: random.Random) -> dict[str, float]:
    """As many metrics as a training records, with the trends that trainings have, and noise."""
    dims, budget = allocation.dims, sum(allocation.dims)

    def noisy(value: float, error: float) -> float:
        return value + source.gauss(0.0, error)

    information = [max(0.1, noisy(16 * (1 - math.exp(-dims[0] / 25)), 0.4))]
    for d in dims[1:]:
        information.append(information[-1] * min(1.0, noisy(1 - math.exp(-d / 12) / 2, 0.03)))
    auroc = min(0.99, max(0.3, noisy(0.55 + 0.35 * dims[0] / budget, 0.03)))
    elbo = noisy(-241.0 - 2 * dims[-1] / budget, 0.4)
    metrics = {"elbo": elbo, "bits_per_dim": -elbo / 784 / math.log(2)}
    metrics |= {"distortion": -elbo - 13.0, "rate": 13.0}
    for layer, (d, value) in enumerate(zip(dims, information, strict=True), 1):
        metrics |= {
            f"distortion_skip_{layer}": noisy(240.0 + 10 * layer, 1.0),
            f"explained_skip_{layer}": noisy(0.4 / layer, 0.01),
            f"rate_{layer}": value * 1.2,
            f"active_units_{layer}": float(d),
            f"information_{layer}": value,
            f"information_se_{layer}": 0.02,
            f"information_lower_{layer}": noisy(value - 0.5, 0.05),
            f"information_lower_se_{layer}": 0.02,
            f"information_saturated_{layer}": 0.0,
        }
    metrics["retention"] = information[0]
    metrics["attenuation"] = 1 - information[-1] / max(information)
    for name in _SETS:
        metrics |= {f"auroc.{name}.{score}": noisy(auroc, 0.02) for score in _SCORES}
        metrics |= {f"auroc_low.{name}": auroc - 0.01, f"auroc_high.{name}": auroc + 0.01}
        metrics |= {f"{kind}.{name}": noisy(auroc, 0.01) for kind in ("aupr_ood", "aupr_id")}
        metrics |= {f"{kind}.{name}": noisy(1 - auroc, 0.01) for kind in ("fpr80", "fpr95")}
    metrics |= {"auroc": auroc, "auroc_worst": auroc - 0.05}
    return metrics | {"auroc_low": auroc - 0.01, "auroc_high": auroc + 0.01}
