"""FashionMNIST against MNIST, allocation and score chosen on other OOD sets: the published frame.

Every allocation is trained with every seed. Which allocation and which score are taken is decided
on the validation sets of `studies/fashion_mnist.toml` (Omniglot and segment deletion): the pair
with the highest AUROC in the mean over these sets and the seeds. Every other allocation is shown
with the score that does best on the same sets for it. Then MNIST is looked at, once for all.

The complexity scores are mostly those of a compressor, whatever the model: the choice is made
among all scores, and again without them.

Each training leaves three files in runs/benchmarks/ood: its validation metrics, its test AUROCs
and its test scores. The choice reads the first kind alone. A stopped run goes on where it was;
other settings make other files.

Run: ALLOCSEARCH_DATA=... python benchmarks/ood.py --epochs 60 --seeds 3 --processes 2
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import torch
from pool import train_all
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig, load
from allocsearch.data.splits import load_search_data, load_test_data
from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.metrics.intervals import auroc_interval, seeds_interval
from allocsearch.metrics.scorer import Scorer
from allocsearch.metrics.seed_comparison import compare_seeds
from allocsearch.models.build import build_model
from allocsearch.search.storage import write_atomically
from allocsearch.training.loop import train

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "benchmarks" / "ood"
RATIOS = (0.05, 0.1, 0.2, 0.4, 1.0)
BASELINE = "negative_elbo"
ID_TEST = "id"


@dataclass(frozen=True)
class Job:
    """One training and where its results go."""

    allocation: str
    seed: int
    changes: tuple[str, ...]
    folder: Path

    @property
    def config(self) -> StudyConfig:
        """The study file's settings with the changes of this run."""
        return load(ROOT / "studies" / "fashion_mnist.toml", self.changes)

    @property
    def stem(self) -> str:
        """Tells the training from every other one, and from itself with other settings."""
        config = self.config.model_dump(mode="json", exclude={"study", "search_space"})
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        return f"{self.allocation}-{self.seed}-{digest[:12]}"

    @property
    def validation(self) -> Path:
        """The metrics on ID and OOD validation data: all that a choice may read."""
        return self.folder / f"{self.stem}.validation.json"

    @property
    def test(self) -> Path:
        """The AUROC of every score on every test set."""
        return self.folder / f"{self.stem}.test.json"

    @property
    def scores(self) -> Path:
        """Every score of every test example."""
        return self.folder / f"{self.stem}.test.npz"

    @property
    def done(self) -> bool:
        """The validation metrics are written last."""
        return self.validation.exists()


def run_one(job: Job) -> None:
    """Train and measure one allocation with one seed."""
    config = job.config
    torch.set_num_threads(config.training.threads)
    data, test = load_search_data(config.data), load_test_data(config.data)
    model = build_model(Allocation.parse(job.allocation), data.train.shape, config.model, job.seed)
    start = time.perf_counter()
    history = train(model, data.train.values, config.training, job.seed)
    trained = time.perf_counter()
    section = config.evaluation
    settings = Settings(
        score=section.score,
        samples=section.samples,
        score_samples=section.score_samples,
        batch_size=section.batch_size,
        seed=job.seed,
        regret_steps=section.regret_steps,
    )
    metrics = measure(model, data, settings).metrics
    scorer = Scorer.fit(model, data.train.values, settings.passes)
    scores = {ID_TEST: scorer.score(test.test.values)}
    scores |= {dataset.name: scorer.score(dataset.values) for dataset in test.ood_test}
    measured = time.perf_counter()
    buffer = io.BytesIO()
    arrays = {f"{name}.{k}": v.numpy() for name, table in scores.items() for k, v in table.items()}
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(job.scores, buffer.getvalue())
    tested = {
        name: {key: auroc(scores[ID_TEST][key], values) for key, values in table.items()}
        for name, table in scores.items()
        if name != ID_TEST
    }
    write_atomically(job.test, json.dumps(tested, indent=1))
    content = {
        "allocation": job.allocation,
        "seed": job.seed,
        "train_seconds": trained - start,
        "measure_seconds": measured - trained,
        "last_training_elbo": history[-1].elbo,
        "torch": torch.__version__,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "data": data.fingerprint,
        "metrics": dict(metrics),
    }
    write_atomically(job.validation, json.dumps(content, indent=1))


def mean_validation(
    jobs: Sequence[Job], sets: Sequence[str], left_out: str
) -> dict[str, dict[str, dict[str, float]]]:
    """For each allocation and score, the AUROC on each OOD validation set, mean over the seeds."""
    runs: dict[str, list[Mapping[str, float]]] = {}
    for job in jobs:
        content = json.loads(job.validation.read_text())
        runs.setdefault(job.allocation, []).append(content["metrics"])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for allocation, metrics in runs.items():
        prefix = f"auroc.{sets[0]}."
        names = [key.removeprefix(prefix) for key in metrics[0] if key.startswith(prefix)]
        found[allocation] = {
            name: {s: fmean(row[f"auroc.{s}.{name}"] for row in metrics) for s in sets}
            for name in names
            if not fnmatchcase(name, left_out)
        }
    return found


def best(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The score with the highest AUROC in the mean over the validation sets."""
    return max(scores, key=lambda name: fmean(scores[name].values()))


def loaded(jobs: Sequence[Job], score: str, ood: str) -> tuple[Tensor, Tensor]:
    """One score of the ID test examples, `(seeds, n)`, and of an OOD test set, `(seeds, m)`."""
    files = [np.load(job.scores, allow_pickle=False) for job in jobs]
    of_id, of_ood = (
        np.stack([file[f"{name}.{score}"] for file in files]) for name in (ID_TEST, ood)
    )
    return torch.from_numpy(of_id), torch.from_numpy(of_ood)


def with_interval(of_id: Tensor, of_ood: Tensor) -> str:
    """The mean AUROC over seeds, the spread, and the interval over seeds and examples."""
    aurocs = [auroc(a, b) for a, b in zip(of_id, of_ood, strict=True)]
    if len(aurocs) == 1:
        low, high = auroc_interval(of_id[0], of_ood[0])
        return f"{aurocs[0]:.4f} ({low:.4f} to {high:.4f}, examples only)"
    low, high = seeds_interval(of_id, of_ood)
    return f"{fmean(aurocs):.4f} ± {stdev(aurocs):.4f} ({low:.4f} to {high:.4f})"


def print_results(jobs: Sequence[Job], left_out: str) -> None:
    """Choose on validation data, then open the test results, as Markdown tables.

    Args:
        jobs: Trainings that are done.
        left_out: Pattern of the scores that are not chosen from; empty for none.
    """
    config = jobs[0].config
    sets = [entry.title for entry in config.data.ood_validation]
    seeds = sorted({job.seed for job in jobs})
    table = mean_validation(jobs, sets, left_out)
    taken = {allocation: best(scores) for allocation, scores in table.items()}
    found = max(taken, key=lambda a: fmean(table[a][taken[a]].values()))
    lattice = config.search_space.lattices()[Allocation.parse(found).layers]
    uniform = str(Allocation.from_ratio(1.0, lattice))
    among = f"all scores but {left_out}" if left_out else "all scores"
    print(
        f"\nAmong {among}, chosen on {' and '.join(sets)} (mean AUROC over sets and "
        f"{len(seeds)} seeds): allocation {found}, score {taken[found]}.\n"
    )
    by_allocation = {a: [job for job in jobs if job.allocation == a] for a in table}
    for ood in (entry.title for entry in config.data.ood_test):
        heads = ["allocation", "score, chosen on validation", *sets, "ELBO"]
        heads += [f"{ood}: AUROC ± sd (95 %)", f"the found score {taken[found]}", BASELINE]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        order = sorted(table, key=lambda a: -fmean(table[a][taken[a]].values()))
        for a in order:
            marks = [m for m, is_so in (("found", a == found), ("uniform", a == uniform)) if is_so]
            name = a + (f" ({', '.join(marks)})" if marks else "")
            score = taken[a]
            elbo = fmean(
                json.loads(job.validation.read_text())["metrics"]["elbo"]
                for job in by_allocation[a]
            )
            cells = [name, score, *(f"{table[a][score][s]:.3f}" for s in sets), f"{elbo:.1f}"]
            cells += [
                with_interval(*loaded(by_allocation[a], s, ood))
                for s in (score, taken[found], BASELINE)
            ]
            print("| " + " | ".join(cells) + " |")
        if uniform in table and uniform != found and len(seeds) > 1:
            for score in dict.fromkeys((taken[uniform], taken[found])):
                ours = loaded(by_allocation[found], taken[found], ood)
                result = compare_seeds(ours, loaded(by_allocation[uniform], score, ood))
                print(
                    f"\n{found} by {taken[found]} less {uniform} by {score} on {ood}: "
                    f"{result.difference:+.4f} ({result.low:+.4f} to {result.high:+.4f}), "
                    f"p {result.p_value:.2g}, over seeds and examples."
                )


def write_table(jobs: Sequence[Job], path: Path) -> None:
    """One row per training: metrics, and `test.SET.SCORE` for the AUROCs on test sets."""
    rows = []
    for job in jobs:
        content = json.loads(job.validation.read_text())
        metrics = content.pop("metrics")
        tested = json.loads(job.test.read_text())
        test = {f"test.{s}.{k}": v for s, scores in tested.items() for k, v in scores.items()}
        rows.append({**content, **metrics, **test})
    frame = pd.DataFrame(rows).sort_values(["allocation", "seed"])
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=60)
    # The official train part holds 60,000 images; 5,000 of them are the validation part.
    parser.add_argument("--train-size", type=int, default=55_000)
    parser.add_argument("--validation-size", type=int, default=5_000)
    parser.add_argument(
        "--test-size", type=int, default=10_000, help="ID, and most of each OOD set"
    )
    parser.add_argument("--budget", type=int, default=288)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--allocations", nargs="+", help="without it, those of some ratios; uniform is always in"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--table", type=Path, help="CSV to write, one row per training")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE"
    )
    return parser.parse_args()


def main() -> None:
    """Train what is missing, then print the tables."""
    arguments = parsed()
    changes = (
        f"training.epochs={arguments.epochs}",
        f"search_space.budget={arguments.budget}",
        f"data.train_size={arguments.train_size}",
        f"data.validation_size={arguments.validation_size}",
        f"data.test_size={arguments.test_size}",
        f"data.ood_size={arguments.test_size}",
        'evaluation.score="auto"',
        *arguments.changes,
    )
    config = load(ROOT / "studies" / "fashion_mnist.toml", changes)
    lattice = next(iter(config.search_space.lattices().values()))
    named = [Allocation.parse(text) for text in arguments.allocations or ()]
    for allocation in named:
        if allocation not in lattice:
            raise SystemExit(f"--allocations: {allocation} is not of the lattice {lattice}")
    named = named or [Allocation.from_ratio(ratio, lattice) for ratio in RATIOS]
    chosen = dict.fromkeys(map(str, [*named, Allocation.from_ratio(1.0, lattice)]))
    folder = arguments.folder.resolve()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    # A pass over all the allocations for each seed: a stopped run can compare what it has.
    jobs = [Job(text, seed, changes, folder) for seed in seeds for text in chosen]
    train_all(run_one, [job for job in jobs if not job.done], arguments.processes)
    if arguments.table:
        write_table(jobs, arguments.table)
    seconds = [json.loads(job.validation.read_text())["train_seconds"] for job in jobs]
    print(f"{len(jobs)} trainings of {min(seconds):.0f} to {max(seconds):.0f} s.")
    for left_out in ("", "complexity_*"):
        print_results(jobs, left_out)


if __name__ == "__main__":
    main()
