"""How well each pretext task is detected as it grows stronger: AUROC against its strength.

One allocation is trained with some seeds: a named one, or the one that a finished run recommends
(or another pick), with the settings of that run. A training of the run itself is loaded where its
weights were kept, and trained again otherwise, which gives the same bits on the same machine.

ID are the examples of the ID test part, which no search sees (--part validation takes the other);
near-OOD are the same examples after the task. So at strength 0 both are the same examples, whose
scores are drawn with the same noise, and the AUROC is 0.5 exactly: every score stands on both
sides once, and of two equal scores each half counts. Nothing is chosen here: scores and strengths
are named in advance.

Intervals (95 %): over examples those of DeLong et al. (1988) for the pairs of an example and its
shift, which are not independent; with several seeds also Student's t over these. Both distances
are added as squares. At strength 0 nothing varies, and the interval is a point.

Each training leaves a file in runs/benchmarks/pretext_strengths; a stopped run goes on where it
was.

Run: python benchmarks/pretext_strengths.py --run runs/protein --seeds 3 --processes 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
import safetensors.torch
import torch
from plotly.subplots import make_subplots
from pool import train_all
from scipy.stats import norm
from scipy.stats import t as student

from allocsearch.allocation import Allocation
from allocsearch.config import SHIFTS, InputError, StudyConfig, load, loads
from allocsearch.data.dataset import Dataset
from allocsearch.data.seeding import generator
from allocsearch.data.shifts import shifted
from allocsearch.data.splits import load_search_data, load_test_data
from allocsearch.metrics.delong import placements
from allocsearch.metrics.scorer import Scorer
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.report.exports.pick import pick
from allocsearch.search.compatibility import check_compatibility
from allocsearch.search.objective import measurement_settings
from allocsearch.search.records import read_run
from allocsearch.search.storage import trial_folder, write_atomically
from allocsearch.training.loop import train

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "benchmarks" / "pretext_strengths"
TASKS = ("corruption", "segment_shuffling", "segment_deletion")
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
SCORES = ("llr_1", "kl_1", "negative_elbo")


@dataclass(frozen=True)
class Job:
    """One training, and what is measured of it.

    Attributes:
        study: The resolved study, as TOML.
        weights: Of the trained model, where they were kept.
    """

    study: str
    allocation: str
    seed: int
    weights: Path | None
    tasks: tuple[str, ...]
    strengths: tuple[float, ...]
    scores: tuple[str, ...]
    part: str
    folder: Path

    @property
    def path(self) -> Path:
        """Where its results are."""
        own = (self.study, self.tasks, self.strengths, self.scores, self.part)
        digest = hashlib.sha256(json.dumps(own).encode()).hexdigest()[:12]
        return self.folder / f"{self.allocation}-{self.seed}-{digest}.safetensors"


def held_out(config: StudyConfig, part: str) -> Dataset:
    """The ID examples that are scored as they are, and shifted."""
    if part == "validation":
        return load_search_data(config.own_data).validation
    # Shifts alone: no OOD test set is opened.
    section = config.own_data.model_copy(update={"ood_test": ()})
    return load_test_data(section).test


def trained_model(job: Job, config: StudyConfig) -> HVAE:
    """The model of a job, loaded or trained."""
    data = load_search_data(config.own_data)
    allocation = Allocation.parse(job.allocation)
    model = build_model(allocation, data.train.shape, config.model, job.seed)
    if job.weights is not None:
        model.load_state_dict(safetensors.torch.load(job.weights.read_bytes()))
    else:
        train(model, data.train.values, config.training, job.seed)
    return model.eval()


def run_one(job: Job) -> None:
    """Train and score, and keep the placements of every example: `(2, n)` by score and shift."""
    config = load_text(job.study)
    torch.set_num_threads(config.training.threads)
    model, values = trained_model(job, config), held_out(config, job.part)
    passes = measurement_settings(config.evaluation, job.seed).passes
    train_values = load_search_data(config.own_data).train.values
    scorer = Scorer.fit(model, train_values, passes)
    of_id = scorer.score(values.values)
    found = {}
    for task in job.tasks:
        for strength in job.strengths:
            # The strengths of one task share their random choices, as far as they go.
            source = generator(config.own_data.seed, "pretext", task)
            changed = shifted(task, values.values, strength, source, values.kind)
            of_ood = scorer.score(changed)
            for score in job.scores:
                if strength == 0 and not torch.equal(of_id[score], of_ood[score]):
                    raise SystemExit(f"{score}: the same examples have other scores")
                pair = placements(of_id[score], of_ood[score])
                found[f"{task} {strength:g} {score}"] = torch.stack(pair)
    write_atomically(job.path, safetensors.torch.save(found))


def load_text(text: str) -> StudyConfig:
    """A resolved study from its text."""
    return loads(text, "study")


def interval(pairs: torch.Tensor) -> tuple[float, float, float]:
    """AUROC and the ends of its interval.

    Args:
        pairs: Placements of the examples and of their shifts for each seed, `(seeds, 2, n)`.
    """
    seeds, _, n = pairs.shape
    # An example is ID once, and near-OOD once: its two placements belong together.
    each = pairs.sum(1) / 2
    aurocs = each.mean(1)
    # Its deviations on the two sides add up in that of the AUROC.
    over_examples = (2 * each.mean(0)).std() / n**0.5
    half = float(norm.ppf(0.975)) * float(over_examples)
    if seeds > 1:
        over_seeds = float(student.ppf(0.975, seeds - 1)) * float(aurocs.std()) / seeds**0.5
        half = (half**2 + over_seeds**2) ** 0.5
    mean = float(aurocs.mean())
    return mean, max(0.0, mean - half), min(1.0, mean + half)


Curves = dict[tuple[str, str], list[tuple[float, float, float]]]


def curves_of(jobs: Sequence[Job]) -> Curves:
    """By task and score, the AUROC with its interval at each strength."""
    files = [safetensors.torch.load(job.path.read_bytes()) for job in jobs]
    first = jobs[0]
    return {
        (task, score): [
            interval(torch.stack([file[f"{task} {strength:g} {score}"] for file in files]))
            for strength in first.strengths
        ]
        for task in first.tasks
        for score in first.scores
    }


def print_table(jobs: Sequence[Job], curves: Curves) -> None:
    """The curves as a Markdown table."""
    first = jobs[0]
    config = load_text(first.study)
    n = len(held_out(config, first.part))
    print(
        f"\n{config.study.name}, allocation {first.allocation}, {len(jobs)} seed"
        f"{'s' if len(jobs) > 1 else ''}, {n} examples of the ID {first.part} part of "
        f"{config.own_data.id.title} against the same examples after each task: AUROC (95 %).\n"
    )
    heads = ["task", "score", *(f"{strength:g}" for strength in first.strengths)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for (task, score), points in curves.items():
        cells = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in points]
        print("| " + " | ".join([task, score, *cells]) + " |")


def figure_of(jobs: Sequence[Job], curves: Curves) -> go.Figure:
    """A panel for each task: AUROC against strength, a curve for each score."""
    first = jobs[0]
    titles = [task.replace("_", " ") for task in first.tasks]
    figure = make_subplots(1, len(titles), shared_yaxes=True, subplot_titles=titles)
    dashes = ("solid", "dash", "dot", "dashdot")
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
    for (task, score), points in curves.items():
        place = first.scores.index(score) % len(dashes)
        means, lows, highs = zip(*points, strict=True)
        figure.add_scatter(
            x=first.strengths,
            y=means,
            error_y={
                "array": [high - mean for high, mean in zip(highs, means, strict=True)],
                "arrayminus": [mean - low for low, mean in zip(lows, means, strict=True)],
            },
            mode="lines+markers",
            name=score,
            line={"dash": dashes[place], "color": colours[place]},
            showlegend=task == first.tasks[0],
            row=1,
            col=first.tasks.index(task) + 1,
        )
    figure.add_hline(y=0.5, line={"color": "#888888", "width": 1})
    figure.update_xaxes(title_text="strength")
    figure.update_yaxes(range=[0, 1.02])
    figure.update_yaxes(title_text="AUROC (95 %)", col=1)
    figure.update_layout(template="plotly_white", width=340 * len(titles), height=400)
    return figure


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """What is to be trained or loaded, and measured.

    Raises:
        InputError: If the study, the run or the pick is not there, or they do not fit.
    """
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    own: list[tuple[int, Path | None]] = [(seed, None) for seed in seeds]
    if arguments.run is not None:
        record = read_run(arguments.run)
        trial = pick(record, arguments.pick)
        config, allocation = record.config, str(trial.allocation)
        kept = trial_folder(record.folder, trial.number).resolve() / "model.safetensors"
        if trial.seed is not None:
            first = (trial.seed, kept if kept.exists() else None)
            own = [first, *[each for each in own if each[0] != trial.seed]][: arguments.seeds]
    else:
        config, allocation = load(arguments.study, arguments.changes), arguments.allocation
    data = load_search_data(config.own_data)
    check_compatibility(data, config.model)
    scores = config.evaluation.score_names(Allocation.parse(allocation).layers, config.model)
    for score in arguments.scores:
        if score not in scores:
            raise InputError(f"--scores: found {score!r}; allowed: {', '.join(scores)}")
    what = (tuple(arguments.tasks), tuple(arguments.strengths), tuple(arguments.scores))
    folder = arguments.folder.resolve()
    return [
        Job(config.to_toml(), allocation, seed, weights, *what, arguments.part, folder)
        for seed, weights in own
    ]


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="run folder whose pick is measured")
    parser.add_argument("--pick", default="knee", help="as `export --pick` takes it")
    parser.add_argument("--study", type=Path, default=ROOT / "studies" / "protein.toml")
    parser.add_argument("--allocation", help="trained by --study, where there is no --run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=SHIFTS)
    parser.add_argument("--strengths", nargs="+", type=float, default=STRENGTHS)
    parser.add_argument("--scores", nargs="+", default=SCORES)
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--figure", type=Path, help="HTML or image file; without it in the folder")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE"
    )
    arguments = parser.parse_args()
    if (arguments.run is None) == (arguments.allocation is None):
        parser.error("one of --run and --allocation says what is measured")
    return arguments


def main() -> None:
    """Train what is missing, then print the table and draw the curves."""
    arguments = parsed()
    try:
        jobs = jobs_of(arguments)
    except InputError as error:
        raise SystemExit(str(error)) from None
    train_all(run_one, [job for job in jobs if not job.path.exists()], arguments.processes)
    curves = curves_of(jobs)
    print_table(jobs, curves)
    path = arguments.figure or jobs[0].folder / f"{jobs[0].allocation}.html"
    figure = figure_of(jobs, curves)
    if path.suffix == ".html":
        write_atomically(path, figure.to_html(include_plotlyjs=True))
    else:
        figure.write_image(path)
    print(f"\n{path}")


if __name__ == "__main__":
    main()
