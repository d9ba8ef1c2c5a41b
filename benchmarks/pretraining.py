"""Contrastive pretraining on against off, at the same total cost, for one allocation.

Both arms take the same processor time: the arm with pretraining has as many ELBO epochs fewer as
its pretraining costs. What an epoch of either kind costs is measured once, on this machine,
in processor time (in time on a GPU), and kept beside the results: passes alone would leave out
what views and loss cost, and a step of the pretraining passes through the encoder twice but not
through the decoder. The table says what the arms took in the end.

Each pair of trainings has one seed, and so the same initial weights. Metrics are those of a trial
on ID validation data and on the OOD validation sets, of which nothing is chosen: allocation,
augmentations and scores (LLR^{>1} and the KL of layer 1, unless others are named) are set in
advance. The probe is logistic regression and k-nearest neighbours on the posterior means of all
layers, cross-validated: of the ID validation part where the ID data has classes, otherwise of the
other classes of the same files, such as other protein families. Nothing is trained or picked by
those either. With `data.identity` near-identical sequences are in one fold.

A difference is that of two trainings of one seed; its interval (95 %) is Student's t over the
seeds, for the mean difference that other seeds would have. It is over seeds alone, not over
examples.

Each training leaves a file in runs/benchmarks/pretraining; a stopped run goes on where it was.

Run: ALLOCSEARCH_DATA=... python benchmarks/pretraining.py studies/fashion_mnist.toml \
         --allocation 64-18-6 --seeds 3 --epochs 20 --pretrain-epochs 5 --processes 2
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import torch
from pool import train_all
from scipy.stats import t as student

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig, load
from allocsearch.data.dataset import Dataset
from allocsearch.data.fitting import fit
from allocsearch.data.identity import identity_clusters
from allocsearch.data.sources import load_source
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.metrics.evaluation import measure
from allocsearch.metrics.probe import has_classes, probe_model
from allocsearch.models.build import build_model
from allocsearch.search.compatibility import check_compatibility, check_pretraining
from allocsearch.search.objective import measurement_settings
from allocsearch.search.storage import write_atomically
from allocsearch.search.trainers import HVAE_MODULES
from allocsearch.training.device import device_of
from allocsearch.training.loop import train
from allocsearch.training.pretraining import check_installed

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "benchmarks" / "pretraining"
OFF, ON = "off", "on"
CALIBRATION_EPOCHS = 3


@dataclass(frozen=True)
class Settings:
    """What both arms have in common, and the pretraining of one."""

    study: Path
    allocation: str
    changes: tuple[str, ...]
    epochs: int
    pretrain_epochs: int
    frozen_epochs: int
    folder: Path

    def config(self, pretrain_epochs: int, epochs: int) -> StudyConfig:
        """The study of a training of so many epochs of either kind."""
        changes = [*self.changes, f"training.epochs={epochs}"]
        if pretrain_epochs:
            changes.append(f"training.pretrain.epochs={pretrain_epochs}")
            frozen = min(self.frozen_epochs, epochs)
            changes.append(f"training.pretrain.frozen_epochs={frozen}")
        return load(self.study, changes)

    def stem(self, config: StudyConfig) -> str:
        """Tells these settings from all others."""
        content = config.model_dump(mode="json", exclude={"study", "search_space"})
        text = json.dumps([content, self.allocation], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def costs(self) -> tuple[float, float]:
        """Seconds of an epoch of the pretraining and of one by the ELBO, measured once."""
        config = self.config(CALIBRATION_EPOCHS, CALIBRATION_EPOCHS)
        path = self.folder / f"costs-{self.stem(config)}.json"
        if not path.exists():
            write_atomically(path, json.dumps(epoch_costs(config, self.allocation)))
        pretraining, elbo = json.loads(path.read_text())
        return pretraining, elbo

    @property
    def fewer_epochs(self) -> int:
        """ELBO epochs of the arm with pretraining."""
        pretraining, elbo = self.costs
        left = self.epochs - round(self.pretrain_epochs * pretraining / elbo)
        if left < 1:
            raise SystemExit(
                f"--pretrain-epochs {self.pretrain_epochs} cost as much as {self.epochs - left} "
                f"epochs by the ELBO, of which there are {self.epochs}"
            )
        return left


@dataclass(frozen=True)
class Job:
    """One training."""

    settings: Settings
    arm: str
    seed: int
    pretrain_epochs: int
    epochs: int

    @property
    def config(self) -> StudyConfig:
        """Its study."""
        return self.settings.config(self.pretrain_epochs, self.epochs)

    @property
    def path(self) -> Path:
        """Where its results are."""
        stem = self.settings.stem(self.config)
        return self.settings.folder / f"{self.arm}-{self.seed}-{stem}.json"


def clock_of(config: StudyConfig) -> Callable[[], float]:
    """Processor time; time where a GPU computes."""
    cuda = device_of(config.training).type == "cuda"
    return time.perf_counter if cuda else time.process_time


def epoch_costs(config: StudyConfig, allocation: str) -> tuple[float, float]:
    """Seconds of an epoch of either kind: the least of all but the first, which warms up."""
    torch.set_num_threads(config.training.threads)
    data, clock = load_search_data(config.own_data), clock_of(config)
    model = build_model(Allocation.parse(allocation), data.train.shape, config.model, 0)
    times: dict[str, list[float]] = {"pretraining": [], "elbo": []}
    train(
        model,
        data.train.values,
        config.training,
        0,
        on_pretrain=lambda epoch: times["pretraining"].append(clock()),
        on_epoch=lambda epoch: times["elbo"].append(clock()),
    )
    pretraining, elbo = (
        min(after - before for before, after in pairwise(own)) for own in times.values()
    )
    return pretraining, elbo


def probed_set(config: StudyConfig, data: SearchData) -> Dataset:
    """The labelled set behind the probe, which the models have not been fitted to."""
    if has_classes(data.probed):
        return data.probed
    source = config.own_data.id
    every = load_source(source.model_copy(update={"classes": None}))
    if every.labels is None or source.classes is None:
        raise SystemExit(f"{source.title}: no classes beside those of data.id to probe")
    names = {str(each) for each in source.classes}
    others = [
        label for label in every.labels.unique().tolist() if every.class_name(label) not in names
    ]
    kept = torch.isin(every.labels, torch.tensor(others)).nonzero().squeeze(1)
    found = every.take(kept)
    values = fit(found.values, data.train.shape, found.name)
    name, identity = f"{found.name}, other classes", config.own_data.identity
    clusters = None
    if identity is not None:
        clusters = torch.from_numpy(identity_clusters(values.numpy(), identity))
    labels, titles = found.labels, found.class_names
    return Dataset(name, values, labels, found.kind, titles, clusters)


def run_one(job: Job) -> None:
    """Train and measure."""
    config = job.config
    torch.set_num_threads(config.training.threads)
    data, clock = load_search_data(config.own_data), clock_of(config)
    allocation = Allocation.parse(job.settings.allocation)
    model = build_model(allocation, data.train.shape, config.model, job.seed)
    # What is imported at the first step is no part of the cost.
    for module in HVAE_MODULES:
        importlib.import_module(module)
    check_installed()
    start = clock()
    train(model, data.train.values, config.training, job.seed)
    seconds = clock() - start
    section = config.evaluation
    found = measure(model, data, measurement_settings(section, job.seed))
    labelled = probed_set(config, data)
    probed = probe_model(model, labelled, "all", section.batch_size, job.seed)
    content = {
        "seconds": seconds,
        "metrics": {**found.metrics, **probed.metrics},
        "probe": {
            "set": labelled.name,
            "examples": probed.examples,
            "classes": len(set(labelled.labels.tolist()) - {*probed.left_out}),
            "left_out": [labelled.class_name(label) for label in probed.left_out],
        },
        "data": data.fingerprint,
        "torch": torch.__version__,
    }
    write_atomically(job.path, json.dumps(content, indent=1))


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    sd = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{sd}"


def difference(on: Sequence[float], off: Sequence[float], digits: int) -> str:
    """The mean paired difference, with its t interval over the seeds."""
    paired = [one - other for one, other in zip(on, off, strict=True)]
    mean, n = fmean(paired), len(paired)
    if n == 1:
        return f"{mean:+.{digits}f} (one seed)"
    half = float(student.ppf(0.975, n - 1)) * stdev(paired) / n**0.5
    low, high = mean - half, mean + half
    sure = "" if low <= 0 <= high else " *"
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}){sure}"


def print_results(settings: Settings, jobs: Sequence[Job], scores: Sequence[str]) -> None:
    """The table, as Markdown."""
    found = {
        arm: [json.loads(job.path.read_text()) for job in jobs if job.arm == arm]
        for arm in (OFF, ON)
    }
    config = jobs[0].config
    sets = [entry.title for entry in config.ood_validation]
    rows = {"retention (nats)": ("retention", 2), "attenuation": ("attenuation", 3)}
    rows |= {
        f"AUROC, {name}, {score}": (f"auroc.{name}.{score}", 3)
        for name in sets
        for score in scores
    }
    rows |= {
        "probe accuracy, logistic regression": ("probe_accuracy", 3),
        "probe accuracy, k-NN": ("probe_accuracy_knn", 3),
        "ELBO (nats)": ("elbo", 2),
    }
    probed, chance = found[ON][0]["probe"], found[ON][0]["metrics"]["probe_chance"]
    pretraining, elbo = settings.costs
    epochs = {job.arm: job.epochs for job in jobs}
    pretrain = next(job.config.training.pretrain for job in jobs if job.arm == ON)
    assert pretrain is not None
    shifts = ", ".join(f"{each.shift} {each.strength:g}" for each in pretrain.augmentations)
    train_size = len(load_search_data(config.own_data).train)
    left_out = ", ".join(probed["left_out"])
    print(
        f"\n{settings.study.stem}, allocation {settings.allocation}, {len(found[ON])} seed"
        f"{'s' if len(found[ON]) > 1 else ''}, "
        f"{train_size} training examples of {config.own_data.id.title}. Off: {epochs[OFF]} ELBO "
        f"epochs. On: {settings.pretrain_epochs} epochs of pretraining ({shifts}; temperature "
        f"{pretrain.temperature:g}, frozen for {pretrain.frozen_epochs}), then {epochs[ON]} ELBO "
        f"epochs. An epoch of pretraining costs {pretraining:.2f} s, one by the ELBO "
        f"{elbo:.2f} s.\n\n"
        f"Probe: {probed['examples']} examples of {probed['classes']} classes of {probed['set']}, "
        f"chance {chance:.3f}"
        + (f"; left out as too small: {left_out}" if left_out else "")
        + ". OOD sets are validation sets, by which nothing was chosen.\n"
    )
    print("| metric | off (± sd over seeds) | on | on less off (95 %, t over seeds) |")
    print("|---|---|---|---|")
    for title, (name, digits) in rows.items():
        off, on = ([each["metrics"][name] for each in found[arm]] for arm in (OFF, ON))
        print(
            f"| {title} | {spread(off, digits)} | {spread(on, digits)} | "
            f"{difference(on, off, digits)} |"
        )
    off, on = ([each["seconds"] for each in found[arm]] for arm in (OFF, ON))
    print(f"| training (s) | {spread(off, 1)} | {spread(on, 1)} | {difference(on, off, 1)} |")
    print("\n\\* the interval leaves out 0; intervals are not corrected for the number of rows.")


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--allocation", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20, help="by the ELBO, without pretraining")
    parser.add_argument("--pretrain-epochs", type=int, default=5)
    parser.add_argument("--frozen-epochs", type=int, default=0)
    parser.add_argument("--scores", nargs="+", default=["llr_1", "kl_1"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE"
    )
    return parser.parse_args()


def main() -> None:
    """Train what is missing, then print the table."""
    arguments = parsed()
    settings = Settings(
        arguments.study.resolve(),
        arguments.allocation,
        tuple(arguments.changes),
        arguments.epochs,
        arguments.pretrain_epochs,
        arguments.frozen_epochs,
        arguments.folder.resolve(),
    )
    try:
        config = settings.config(1, 1)
        data = load_search_data(config.own_data)
        check_compatibility(data, config.model)
        check_pretraining(data, config.model, config.training)
    except InputError as error:
        raise SystemExit(str(error)) from None
    probed_set(config, data)
    fewer = settings.fewer_epochs
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    # Seed by seed: a stopped run can compare what it has.
    jobs = [
        job
        for seed in seeds
        for job in (
            Job(settings, OFF, seed, 0, settings.epochs),
            Job(settings, ON, seed, settings.pretrain_epochs, fewer),
        )
    ]
    train_all(run_one, [job for job in jobs if not job.path.exists()], arguments.processes)
    print_results(settings, jobs, arguments.scores)


if __name__ == "__main__":
    main()
