"""Train given allocations of 88 dims on FashionMNIST and measure them, MNIST as OOD set.

A measurement of what the program computes, not a search: nothing is chosen by it. The weights of
every finished training are kept in runs/benchmarks, every measured model is a row of the table:
a stopped run goes on where it was, and without its table it measures again without training.

Run: ALLOCSEARCH_DATA=... python benchmarks/fashion_mnist.py --processes 2
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch
from table_rows import append_rows

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig, load
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.storage import write_atomically
from allocsearch.training.loop import train

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "tables" / "fashion_mnist.csv"
WEIGHTS = ROOT / "runs" / "benchmarks"
# The first six are those of the prototype's table.
ALLOCATIONS = [
    "64-18-6",
    "8-72-8",
    "6-18-64",
    "80-6-2",
    "29-30-29",
    "44-4-40",
    "13-25-50",
    "20-60-8",
    "40-40-8",
    "60-2-26",
    "8-40-40",
    "50-30-8",
    "30-10-48",
    "16-16-56",
    "4-80-4",
    "70-12-6",
]


def study(epochs: int | None) -> StudyConfig:
    """The study file's settings, with MNIST in the place of its OOD validation sets."""
    changes = ['data.ood_validation=["MNIST"]', "data.ood_test=[]"]
    changes += [] if epochs is None else [f"training.epochs={epochs}"]
    return load(ROOT / "studies" / "fashion_mnist.toml", changes)


def trained(allocation: Allocation, seed: int, config: StudyConfig, data: SearchData) -> HVAE:
    """The trained model, from the weights of an earlier run where there are some."""
    model = build_model(allocation, data.train.shape, config.model, seed)
    path = WEIGHTS / f"{allocation}-{seed}-{config.training.epochs}.safetensors"
    if path.exists():
        model.load_state_dict(safetensors.torch.load(path.read_bytes()))
        return model.eval()
    train(model, data.train.values, config.training, seed)
    write_atomically(path, safetensors.torch.save(model.state_dict()))
    return model


def run_one(job: tuple[str, int, int | None, Path]) -> None:
    """Train and measure one allocation with one seed and append its metrics to the table."""
    text, seed, epochs, table = job
    config = study(epochs)
    torch.set_num_threads(1)
    data = load_search_data(config.data)
    model = trained(Allocation.parse(text), seed, config, data)
    evaluation = config.evaluation
    measurement = measure(
        model,
        data,
        Settings(
            score=evaluation.score,
            samples=evaluation.samples,
            score_samples=evaluation.score_samples,
            batch_size=evaluation.batch_size,
            seed=seed,
        ),
    )
    row = {"allocation": text, "seed": seed, **measurement.metrics}
    append_rows(table, [row])


def main() -> None:
    """Train what the table lacks, then print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--allocations", nargs="+", default=ALLOCATIONS)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    table: Path = arguments.table
    table.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if table.exists():
        rows = pd.read_csv(table)
        done = set(zip(rows["allocation"], rows["seed"], strict=True))
    jobs = [
        (text, seed, arguments.epochs, table)
        for seed in range(arguments.seeds)
        for text in arguments.allocations
        if (text, seed) not in done
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes) as pool:
        for count, _ in enumerate(pool.imap(run_one, jobs), 1):
            print(f"{count} of {len(jobs)} trainings", flush=True)
    print_table(pd.read_csv(table))


def print_table(rows: pd.DataFrame) -> None:
    """Each value for each seed, as a Markdown table."""
    columns = {
        "elbo": ("ELBO", ".1f"),
        "auroc.MNIST.llr_1": ("LLR^{>1} AUROC", ".3f"),
        "auroc.MNIST.kl_1": ("KL_1 AUROC", ".3f"),
        "information_1": ("I_1 upper", ".1f"),
        "information_lower_3": ("I_3 lower", ".1f"),
        "information_3": ("I_3 upper", ".1f"),
        "attenuation": ("attenuation", ".2f"),
    }
    print("| allocation | " + " | ".join(name for name, _ in columns.values()) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for text, group in rows.groupby("allocation", sort=False):
        cells = [
            ", ".join(format(value, form) for value in group.sort_values("seed")[column])
            for column, (_, form) in columns.items()
        ]
        print(f"| {text} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
