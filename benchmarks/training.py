"""Rate of one training step against the machine's own rate for the same products.

The products are those of the step, matrix products or convolutions, forward and backward, in its
layouts, and nothing else; what two rates are compared by alternates. On a CPU times are processor
times of this process: other load of the machine does not count, though what it takes of caches
and memory does. Prints Markdown tables.

Run: python benchmarks/training.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from statistics import median

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.device import device_of, product_precision, products_in
from allocsearch.training.loop import train

_SHAPE = (28, 28)
_ALLOCATION = Allocation((64, 18, 6))
_LENGTH = 96


@dataclass(frozen=True)
class Rate:
    """What was measured of one training.

    Attributes:
        step: Seconds of a whole step.
        products: Seconds of its products alone.
        share: Products over step, median of the rounds, and its quartiles.
        flops: Floating point operations of the products of a step.
    """

    step: float
    products: float
    share: tuple[float, float, float]
    flops: int


def clock(device: torch.device) -> float:
    """Seconds of this process's work on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def forward_products(
    model: HVAE, x: Tensor, noise: tuple[Tensor, ...]
) -> Iterator[tuple[nn.Module, Tensor, bool]]:
    """Every product of a step: module, input, and whether the gradient by the input is needed."""
    found: list[tuple[nn.Module, Tensor, bool]] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # A layer may take its input in parts.
        joined = inputs[0]
        if isinstance(module, nn.Linear) and len(inputs) > 1:
            most = max(inputs, key=lambda given: given.dim()).shape[:-1]
            joined = torch.cat([i.expand(*most, i.shape[-1]) for i in inputs], dim=-1)
        found.append((module, joined.detach(), any(i.requires_grad for i in inputs)))

    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    handles = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, kinds)]
    model(x, noise)
    for handle in handles:
        handle.remove()
    yield from found


def products(
    model: HVAE, batch: int, precision: torch.dtype, device: torch.device
) -> tuple[Callable[[], None], int]:
    """A function that does the products of one step and nothing else, and their operations."""
    generator = torch.Generator(device).manual_seed(0)
    x = model.likelihood.prepare(examples(batch, device, model.section), generator)
    work: list[Callable[[], object]] = []
    flops = 0
    for module, given, by_input in forward_products(model, x, model.draw_noise(batch, generator)):
        weight = module.weight.detach().to(precision)
        given = given.to(precision)
        if isinstance(module, nn.Linear):
            # A pointwise convolution is a product over all positions.
            given = given.flatten(0, -2)
            gradient = torch.randn(len(given), len(weight), device=device).to(precision)
            work.append(lambda a=given, w=weight: torch.mm(a, w.t()))
            work.append(lambda a=given, g=gradient: torch.mm(g.t(), a))
            if by_input:
                work.append(lambda w=weight, g=gradient: torch.mm(g, w))
            flops += 2 * len(given) * weight.numel() * (2 + by_input)
            continue
        transposed = isinstance(module, nn.ConvTranspose2d)
        settings = (module.stride, module.padding, module.dilation, transposed)
        settings = (*settings, module.output_padding, module.groups)
        output = torch.ops.aten.convolution(given, weight, None, *settings)
        gradient = torch.randn_like(output)
        mask = [by_input, True, False]
        work.append(
            lambda a=given, w=weight, s=settings: torch.ops.aten.convolution(a, w, None, *s)
        )
        work.append(
            lambda a=given, w=weight, g=gradient, s=settings, m=mask: (
                torch.ops.aten.convolution_backward(g, a, w, None, *s, m)
            )
        )
        # Every weight meets every position of the coarser of the two maps.
        positions = (given if transposed else output).shape[-2:].numel()
        flops += 2 * batch * weight.numel() * positions * (2 + by_input)

    def run() -> None:
        with torch.no_grad():
            for product in work:
                product()

    return run, flops


def shape_of(section: ModelSection) -> tuple[int, ...]:
    """Of one example for such a model: a sequence of tokens, or a grey image."""
    return (_LENGTH,) if section.one_hot else _SHAPE


def examples(
    count: int, device: torch.device | None = None, section: ModelSection | None = None
) -> Tensor:
    """Random grey images, uint8 `(count, 28, 28)`, or sequences of half the length and more."""
    generator = torch.Generator().manual_seed(0)
    if section is not None and section.one_hot:
        values = torch.randint(1, section.levels, (count, _LENGTH), generator=generator)
        ends = torch.randint(_LENGTH // 2, _LENGTH + 1, (count, 1), generator=generator)
        values = values.masked_fill(torch.arange(_LENGTH) >= ends, 0).byte()
    else:
        values = torch.randint(0, 256, (count, *_SHAPE), generator=generator, dtype=torch.uint8)
    return values if device is None else values.to(device)


def measured(
    allocation: Allocation,
    section: ModelSection,
    training: TrainingSection,
    rounds: int,
    steps: int,
    data: int | None = None,
) -> Rate:
    """Alternate steps and products, so that other load of the machine meets both alike.

    Args:
        allocation: Of the model.
        section: The model.
        training: Its epochs are set to what gives `steps`.
        rounds: How often both are timed.
        steps: Steps, and products of steps, in each round.
        data: Number of examples; None for `steps` batches.
    """
    device = device_of(training)
    precision = product_precision(training, device)
    batch = training.batch_size
    values = examples(data or batch * steps, device, section)
    epochs = max(1, batch * steps // len(values))
    training = training.model_copy(update={"epochs": epochs})
    done = epochs * (len(values) // batch)
    model = build_model(allocation, shape_of(section), section, 0)
    with products_in(precision, device):
        run, flops = products(model.to(device), batch, precision, device)
    step_times, product_times = [], []
    timed = done - 1 if training.compile is True else done
    for seed in range(rounds + 1):
        begun = time.perf_counter()
        marks = [clock(device)]

        def on_step(marks: list[float] = marks) -> None:
            # The second step comes after the compilation, which is paid once.
            if timed < done and len(marks) < 3:
                marks.append(clock(device))

        train(model, values, training, seed, on_step=on_step)
        middle = clock(device)
        start = marks[-1]
        if timed < done and seed == 0:
            seconds = time.perf_counter() - begun
            print(f"first compiled training: {seconds:.0f} s", file=sys.stderr)
        for _ in range(steps):
            run()
        end = clock(device)
        step_times.append((middle - start) / timed)
        product_times.append((end - middle) / steps)
    # The first round warms up.
    step_times, product_times = step_times[1:], product_times[1:]
    shares = sorted(p / s for p, s in zip(product_times, step_times, strict=True))
    quartiles = shares[len(shares) // 4], shares[3 * len(shares) // 4]
    return Rate(median(step_times), median(product_times), (median(shares), *quartiles), flops)


def row(name: str, batch: int, rate: Rate) -> str:
    """A row of a table of rates."""
    share, low, high = rate.share
    return (
        f"| {name} | {rate.step * 1e3:.2f} | {batch / rate.step:,.0f} | "
        f"{rate.products * 1e3:.2f} | {rate.flops / rate.products / 1e9:.0f} | "
        f"{share:.3f} ({low:.3f} to {high:.3f}) |"
    )


_HEAD = (
    "| {} | step, ms | images/s | products, ms | GFLOP/s | share (quartiles) |\n"
    "|---|---|---|---|---|---|"
)


def _worker(barrier: Barrier, steps: int, queue: multiprocessing.Queue[float]) -> None:
    torch.set_num_threads(1)
    training = TrainingSection(epochs=1, device="cpu")
    values = examples(training.batch_size * steps)
    model = build_model(_ALLOCATION, _SHAPE, ModelSection(), 0)
    train(model, values[: training.batch_size * 10], training, 0)
    barrier.wait()
    start = time.perf_counter()
    train(model, values, training, 1)
    queue.put(training.batch_size * steps / (time.perf_counter() - start))


def together(processes: int, steps: int) -> float:
    """Images per second, by the clock, of processes of one thread each that train at once."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.Queue()
    arguments = (barrier, steps, queue)
    started = [context.Process(target=_worker, args=arguments) for _ in range(processes)]
    for process in started:
        process.start()
    total = sum(queue.get() for _ in started)
    for process in started:
        process.join()
    return total


# The model of hvae-oodd's README for FashionMNIST, with 16 channels and one block per layer.
_CONV_ALLOCATION = Allocation((8 * 14 * 14, 16, 8))
_CONV = ModelSection(
    blocks="conv",
    channels=16,
    depth=1,
    strides=(2, 2, 1),
    kernels=(5, 3, 3),
    latents=("spatial", "dense", "dense"),
)

# Proteins, with the latents of a study of them.
_TOKENS = {"likelihood": "categorical", "one_hot": True, "levels": 22, "pad": 0, "embedding": 16}
_SEQUENCE_ALLOCATION = Allocation((40, 16, 8))
_SEQUENCES = {
    "dense": ModelSection.model_validate(_TOKENS),
    "conv1d": ModelSection.model_validate({**_TOKENS, "blocks": "conv1d"}),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocation", default=str(_ALLOCATION))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--compile", action="store_true", help="compile the steps, too")
    parser.add_argument("--cost", action="store_true", help="vary depth, width, batch and data")
    parser.add_argument("--sequences", action="store_true", help="models of sequences alone")
    parser.add_argument("--processes", action="store_true", help="two processes against one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    allocation, batch = Allocation.parse(arguments.allocation), arguments.batch
    rounds, steps = arguments.rounds, arguments.steps
    training = TrainingSection(batch_size=batch, device=arguments.device)

    load = os.getloadavg()[0]
    print(f"{allocation}, batch {batch}, torch {torch.__version__}, one thread, load {load:.1f}\n")
    few = max(2, rounds // 3)
    if arguments.sequences:
        head = _HEAD.replace("images", "sequences")
        print(head.format(f"sequences of {_LENGTH}, {_SEQUENCE_ALLOCATION}"))
        for name, section in _SEQUENCES.items():
            rate = measured(_SEQUENCE_ALLOCATION, section, training, few, max(1, steps // 5))
            print(row(name, batch, rate))
        return
    print(_HEAD.format("architecture"))
    for inference in ("bottom_up", "top_down"):
        model = ModelSection(inference=inference)
        print(
            row(f"dense {inference}", batch, measured(allocation, model, training, rounds, steps))
        )
    rate = measured(_CONV_ALLOCATION, _CONV, training, few, max(1, steps // 5))
    print(row(f"conv, {_CONV_ALLOCATION}", batch, rate))
    if arguments.compile:
        fast = training.model_copy(update={"compile": True})
        rate = measured(allocation, ModelSection(), fast, few, steps)
        print(row("dense bottom_up, compiled", batch, rate))
    if arguments.cost:
        print("\n" + _HEAD.format("dense bottom_up with"))
        for depth in (1, 2, 4):
            rate = measured(allocation, ModelSection(depth=depth), training, few, steps)
            print(row(f"depth {depth}", batch, rate))
        for hidden in (64, 128, 256, 512):
            rate = measured(allocation, ModelSection(hidden=hidden), training, few, steps)
            print(row(f"hidden {hidden}", batch, rate))
        for size in (32, 128, 512):
            sized = training.model_copy(update={"batch_size": size})
            rate = measured(allocation, ModelSection(), sized, few, steps * 128 // size)
            print(row(f"batch {size}", size, rate))
        for count in (1_280, 12_800, 60_000):
            rate = measured(allocation, ModelSection(), training, few, steps, count)
            print(row(f"{count:,} examples", batch, rate))
    if arguments.processes:
        one, two = [], []
        for _ in range(max(3, rounds // 4)):
            one.append(together(1, steps * 4))
            two.append(together(2, steps * 4))
        ratio = median(b / a for a, b in zip(one, two, strict=True))
        print("\n| processes | images/s by the clock |\n|---|---|")
        print(f"| 1 | {median(one):,.0f} |\n| 2 | {median(two):,.0f} ({ratio:.2f} times) |")
        print(f"\nLoad of the machine before and after: {load:.1f}, {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
