"""Studies of any size that were never trained, with all the files that a page shows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import HELD_OUT, StudyConfig
from allocsearch.report.representatives import representatives
from allocsearch.search.depths import COLUMNS, depth_rows
from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    Opening,
    append_opening,
    evaluation_folder,
    write_evaluation,
)
from allocsearch.search.evaluation.final_scores import save_scores, scores_path
from allocsearch.search.prediction import (
    LayerCountPrediction,
    StudyPrediction,
    listed,
    write_prediction,
)
from allocsearch.search.records import RungRecord, StudyRecord, TrialRecord
from allocsearch.search.score_files import write_scores
from allocsearch.search.storage import trial_folder
from allocsearch.theory import GaussianChain, predict

SETS = ("held_out_digits", "segment_deletion")
SCORE = "kl_abs_z_1"
_EXAMPLES = 64
_PROVENANCE = {
    **{"python": "3.12.1", "allocsearch": "0.1.0", "torch": "2.6.0", "numpy": "2.3.1"},
    **{"optuna": "5.0.0", "processor": "A processor of eight cores", "data": "5eed" * 16},
}


def study_config(**sections: Any) -> StudyConfig:
    """A study of digits; its sections are merged with those given."""
    whole: dict[str, dict[str, Any]] = {
        "study": {"name": "invented", "trials": 48},
        "search_space": {"budget": 24, "layers": 3},
        "data": {
            "id": {"source": "digits", "classes": [0, 1, 2, 3, 4, 5, 6]},
            "ood_validation": [
                {"source": "digits", "name": SETS[0], "classes": [7, 8]},
                {"shift": SETS[1], "strength": 0.5},
            ],
        },
        "training": {"epochs": 20, "free_nats": 0.5},
    }
    for name, section in sections.items():
        whole[name] = {**whole.get(name, {}), **section}
    return StudyConfig.model_validate(whole)


def study(
    folder: Path,
    config: StudyConfig,
    complete: int = 0,
    again: int = 0,
    failed: int = 0,
    others: Sequence[str] = (),
) -> StudyRecord:
    """A study without files.

    Args:
        folder: The run folder.
        config: Its config.
        complete: How many allocations are complete.
        again: How many of them have been trained a second time.
        failed: How many trainings failed.
        others: The states of further trials.
    """
    rng = np.random.default_rng(7)
    space = config.search_space
    lattice = Lattice(space.budget, *space.layers, min_dim=1)
    count = complete + failed + len(others)
    dims = [lattice[int(i)] for i in rng.choice(len(lattice), count, replace=False)]
    done = [_complete(i, dims[i], config, rng) for i in range(complete)]
    done += [
        dataclasses.replace(_complete(complete + i, dims[i], config, rng), replicate=1)
        for i in range(again)
    ]
    left = iter(dims[complete:])
    reason = "loss is nan in epoch 3: the mean of <batch 17> overflowed its single precision"
    for state in [*["failed"] * failed, *others]:
        rungs = done[0].rungs[:1] if state == "pruned" else ()
        why = None if state in ("running", "waiting") else reason
        progress = {"epoch": 3, "epochs": 20, "elbo": -31.25} if state == "running" else {}
        trial = TrialRecord(len(done), state, next(left), len(done), reason=why)
        done.append(dataclasses.replace(trial, duration=1.5, rungs=rungs, progress=progress))
    return StudyRecord(folder, config, tuple(done))


def _complete(
    number: int, allocation: Allocation, config: StudyConfig, rng: np.random.Generator
) -> TrialRecord:
    dims, budget = allocation.dims, allocation.budget
    information = [16 * float(1 - np.exp(-3 * dims[0] / budget)) + rng.normal(0, 0.3)]
    for d in dims[1:]:
        kept = 1 - np.exp(-9 * d / budget) / 2 + rng.normal(0, 0.02)
        information.append(information[-1] * min(1.0, kept))
    information = [max(0.1, float(value)) for value in information]
    auroc = float(np.clip(0.55 + 0.35 * dims[0] / budget + rng.normal(0, 0.02), 0.3, 0.99))
    elbo = -24 - float(rng.gamma(2, 0.5))
    metrics = {"elbo": elbo, "distortion": -elbo - 10, "rate": 10.0}
    metrics |= {"retention": information[0], "attenuation": 1 - information[-1] / information[0]}
    for layer, (d, value) in enumerate(zip(dims, information, strict=True), 1):
        metrics |= {f"information_{layer}": value, f"rate_{layer}": 1.2 * value}
        metrics |= {f"active_units_{layer}": float(d)}
        metrics |= {
            f"distortion_skip_{layer}": 14.0 + layer,
            f"explained_skip_{layer}": 0.5**layer,
        }
    if config.ood_validation:
        metrics |= {"auroc": auroc, "auroc_worst": auroc - 0.05}
        metrics |= {"auroc_low": auroc - 0.04, "auroc_high": auroc + 0.04}
        for name in SETS:
            own = auroc + float(rng.normal(0, 0.02))
            metrics |= {f"auroc.{name}.{SCORE}": own, f"fpr80.{name}": 0.3, f"fpr95.{name}": 0.6}
            metrics |= {f"auroc_low.{name}": own - 0.05, f"auroc_high.{name}": own + 0.05}
    values = tuple(metrics[o.metric] for o in config.study.parsed_objectives)
    rungs = tuple(
        RungRecord(rung, tuple(float(v * rng.uniform(0.7, 1)) for v in values), False)
        for rung in config.early_stopping.measured
    )
    return TrialRecord(
        number,
        "complete",
        allocation,
        seed=1000 + number,
        replicate=0,
        values=values,
        metrics=metrics,
        score=SCORE if config.ood_validation else None,
        provenance=_PROVENANCE,
        duration=float(rng.uniform(5, 9)),
        warm_start={0: "knee", 1: "end"}.get(number),
        rungs=rungs,
    )


def with_files(record: StudyRecord) -> StudyRecord:
    """Write what the trials that a page shows have kept; its metrics follow the scores in it."""
    rng = np.random.default_rng(3)
    record.folder.mkdir(parents=True)
    _write_prediction(record)
    kept = {trial.number: _keep(record, trial, rng) for trial in representatives(record)}
    found = tuple(kept.get(trial.number, trial) for trial in record.trials)
    written = dataclasses.replace(record, trials=found)
    _write_evaluation(written, rng)
    return written


def _keep(record: StudyRecord, trial: TrialRecord, rng: np.random.Generator) -> TrialRecord:
    folder = trial_folder(record.folder, trial.number)
    folder.mkdir(parents=True)
    history = [
        {
            "epoch": i,
            "epochs": 20,
            "elbo": trial.metrics["elbo"] - 40 / i + float(rng.normal(0, 0.2)),
            "rates": [
                trial.metrics[f"rate_{layer}"] * (1 - 0.5 / i)
                for layer in range(1, trial.allocation.layers + 1)
            ],
        }
        for i in range(1, 21)
    ]
    (folder / "metrics.json").write_text(json.dumps({"history": history}))
    shape = (36 * (len(depth_rows(trial.allocation.layers)) + 1), 36 * COLUMNS)
    pixels = np.kron(rng.integers(0, 255, (shape[0] // 4, shape[1] // 4)), np.ones((4, 4)))
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "depths.png")
    of_id = rng.gamma(4, 2, _EXAMPLES)
    tables = {HELD_OUT: {SCORE: of_id}}
    metrics = dict(trial.metrics)
    for i, name in enumerate(SETS):
        tables[name] = {SCORE: rng.gamma(5 + 2 * i, 2.2, _EXAMPLES)}
        metrics[f"auroc.{name}.{SCORE}"] = _auroc(of_id, tables[name][SCORE])
    write_scores(folder / "scores.npz", tables)
    return dataclasses.replace(trial, metrics=metrics)


def _auroc(of_id: np.ndarray, of_ood: np.ndarray) -> float:
    labels = np.repeat([0, 1], [len(of_id), len(of_ood)])
    return float(roc_auc_score(labels, np.concatenate([of_id, of_ood])))


def _write_prediction(record: StudyRecord) -> None:
    chain = GaussianChain(tuple(5 / i for i in range(1, 25)), noise=0.3, kappa=0.8, directions=7.0)
    dims = [(20, 3, 1), (12, 7, 5), (8, 8, 8), (5, 8, 11)]
    points = listed(predict(chain, dims), range(4))
    count = LayerCountPrediction(3, 253, 4, points[1], points[1], points[:3], points)
    found = StudyPrediction(200, 64, 18.9, 7.0, 19, 0.3, 0.8, 1.0, chain.eigenvalues, (count,))
    write_prediction(found, record.folder)


def _write_evaluation(record: StudyRecord, rng: np.random.Generator) -> None:
    names = ("test_digit", "Omniglot")
    picked = str(representatives(record)[0].allocation)
    allocations, seeds = (picked, "8-8-8", "6-12-6"), (11, 12)
    opening = Opening(
        1,
        "2026-01-02T10:00:00+00:00",
        (picked,),
        allocations,
        seeds,
        dict.fromkeys(names, "f"),
        "i",
    )
    append_opening(record.folder, opening)
    place = evaluation_folder(record.folder, opening)
    evaluated = []
    for i, (allocation, role) in enumerate(
        zip(allocations, ("knee (trial 3)", "uniform split", "1:2:1 split"), strict=True)
    ):
        areas: dict[str, list[float]] = {name: [] for name in names}
        for seed in seeds:
            of_id = rng.gamma(4, 2, _EXAMPLES)
            of_ood = {name: rng.gamma(7 - i, 2, _EXAMPLES) for name in names}
            path = scores_path(place, allocation, seed)
            save_scores({SCORE: of_id}, {n: {SCORE: v} for n, v in of_ood.items()}, path)
            for name, values in of_ood.items():
                areas[name].append(_auroc(of_id.astype(np.float32), values.astype(np.float32)))
        sets = tuple(_detected(name, found, last=i > 0) for name, found in areas.items())
        evaluated.append(
            Evaluated(
                allocation,
                (role,),
                SCORE,
                f"chosen on validation sets {', '.join(SETS)} (trial 3)",
                seeds,
                elbo=-24.5,
                elbo_sd=0.2,
                retention=9.0,
                attenuation=0.4,
                sets=sets,
            )
        )
    write_evaluation(
        record.folder, Evaluation(opening, "invented", SETS, _PROVENANCE, tuple(evaluated))
    )


def _detected(name: str, areas: Sequence[float], *, last: bool) -> Detected:
    mean = float(np.mean(areas))
    found = Detected(name, mean, 0.02, mean - 0.1, min(1.0, mean + 0.1), 0.8, 0.7, 0.3, 0.6, 0.31)
    against = {"difference": 0.05, "difference_low": -0.02, "difference_high": 0.12}
    return dataclasses.replace(found, **against, p_value=0.12) if last else found


def sections_of(page: str) -> Iterator[str]:
    """The ids of a page's sections, in order."""
    for part in page.split("<section")[1:]:
        yield part.partition('id="')[2].partition('"')[0]
