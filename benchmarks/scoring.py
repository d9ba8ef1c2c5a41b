"""What `allocsearch score` costs on many images: peak memory, and speed beside the model's own.

    OMP_NUM_THREADS=1 nice python benchmarks/scoring.py

Images and detector are synthetic: what is measured depends on their sizes alone. The forward pass
alone is `infer` and one `bound_terms` (the ELBO) with as many samples and examples in a batch, on
inputs and noise that lie in memory; where a score takes more passes, they are measured, too.
Times are those of one core at work, as the machine may be shared; the start of the command, some
seconds of imports, is part of them. The file of 1,000,000 images takes 784 MB of the temporary
folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from allocsearch import Detector
from allocsearch.allocation import Allocation
from allocsearch.config import DataSection, EvaluationSection, ModelSection, TrainingSection
from allocsearch.metrics.scores import cheap_scores
from allocsearch.search.detectors.detector_training import train_detector

ALLOCATION, SIDE, TRAIN = Allocation((64, 18, 6)), 28, 3_000
COMMAND = Path(sys.executable).with_name("allocsearch")


@dataclass(frozen=True)
class Measured:
    """A run of the command: seconds of a core, and the peak of its resident memory in MB."""

    seconds: float
    peak: float


def write_images(path: Path, count: int) -> None:
    """Grey images with strokes in a .npy file, a block at a time."""
    generator = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIDE, SIDE))
    for start in range(0, count, 10_000):
        rows = min(10_000, count - start)
        coarse = generator.integers(0, 256, (rows, 7, 7), dtype=np.uint8)
        file[start : start + rows] = coarse.repeat(4, 1).repeat(4, 2)
    file.flush()


def train(folder: Path, images: Path, score: str, samples: int) -> Path:
    """A detector, after one epoch."""
    data = DataSection.model_validate(
        {"id": {"source": "numpy", "path": str(images)}, "validation_size": 500, "test_size": 2}
    )
    out = folder / f"detector-{score}"
    train_detector(
        out,
        ALLOCATION,
        0,
        data,
        ModelSection(hidden=256),
        TrainingSection(epochs=1),
        EvaluationSection(score=score, samples=2, score_samples=samples, keep="none"),
    )
    return out


def run_command(folder: Path, images: Path, out: Path) -> Measured:
    """Score a file with the real command."""
    arguments = [COMMAND, "score", folder, "--data", images, "--out", out]
    process = psutil.Popen(arguments, stdout=subprocess.DEVNULL)
    ended, status, peak = 0, 0, 0
    while not ended:
        # The system's own peak of a child counts what this process held when it was forked.
        with suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        time.sleep(0.1)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    if status:
        raise SystemExit(f"allocsearch score failed: {status}")
    return Measured(usage.ru_utime + usage.ru_stime, peak / 1e6)


def forward_rate(folder: Path, passes: tuple[int, ...], batches: int = 40) -> float:
    """Images in a second that infer and the bounds of some k take, alone."""
    files = Detector.load(folder).files
    model, card = files.model, files.card
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((card.batch_size, SIDE * SIDE), generator=generator).round()
    noise = model.draw_noise(len(x), generator, card.samples)
    with torch.inference_mode():
        for number in range(batches + 3):
            if number == 3:
                start = time.process_time()
            latents = model.infer(x, noise)
            for k in passes:
                model.bound_terms(x, latents, k)
            if not passes:
                model.priors_given([latent.z for latent in latents])
    return batches * len(x) / (time.process_time() - start)


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--scores", nargs="+", default=["llr_1", "kl_1"])
    parser.add_argument("--samples", type=int, default=EvaluationSection().score_samples)
    parsed = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(
        "| score | images | peak MB | seconds | images/s | one pass alone | share "
        "| its passes alone | share |\n|" + "---|" * 9
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, images = folder / "few.npy", folder / "images.npy"
        write_images(few, TRAIN)
        for count in parsed.images:
            write_images(images, count)
            for score in parsed.scores:
                detector = folder / f"detector-{score}"
                if not detector.exists():
                    train(folder, few, score, parsed.samples)
                own = cheap_scores(ALLOCATION.layers, compressed=True)[score].passes
                # Before and after: the machine is shared, and its speed drifts.
                before = [forward_rate(detector, passes) for passes in ((0,), own)]
                found = run_command(detector, images, folder / "scores.csv")
                after = [forward_rate(detector, passes) for passes in ((0,), own)]
                one, all_own = ((a + b) / 2 for a, b in zip(before, after, strict=True))
                rate = count / found.seconds
                cells = [score, f"{count:,}", f"{found.peak:.0f}", f"{found.seconds:.0f}"]
                cells.append(f"{rate:,.0f}")
                for alone in (one, all_own):
                    cells += [f"{alone:,.0f}", f"{rate / alone:.2f}"]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
