from __future__ import annotations

import functools

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.training.compilation import compiled, compiles
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def compiler() -> None:
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        pytest.skip(f"no C++ compiler: {error}")


@pytest.mark.parametrize(
    ("wanted", "device", "steps", "expected"),
    [
        (True, CPU, 1, True),
        (False, GPU, 10**6, False),
        ("auto", CPU, 10**6, False),
        ("auto", GPU, 10**6, True),
        ("auto", GPU, 100, False),
    ],
)
def test_auto_compiles_long_trainings_on_a_gpu(wanted, device, steps, expected) -> None:
    assert compiles(TrainingSection(compile=wanted), device, steps) is expected


def history_of(**settings) -> tuple[Epoch, ...]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (32, 6), generator=generator, dtype=torch.uint8)
    model = build_model(Allocation((2,)), (6,), ModelSection(hidden=4, depth=1), 0)
    section = TrainingSection(
        epochs=6, batch_size=16, learning_rate=0.01, device="cpu", **settings
    )
    return train(model, values, section, 0)


def test_a_compiled_training_is_the_plain_one(compiler: None) -> None:
    plain, fast = history_of(), history_of(compile=True)
    assert fast == history_of(compile=True)
    assert [e.elbo for e in fast] == pytest.approx([e.elbo for e in plain], rel=1e-5)


def test_schedules_are_not_compiled_in(monkeypatch) -> None:
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=count))
    plain, fast = history_of(), history_of(compile=True)
    assert len(graphs) == 1
    assert [e.elbo for e in fast] == pytest.approx([e.elbo for e in plain], rel=1e-6)


def test_any_number_of_models_is_compiled_one_after_the_other(monkeypatch) -> None:
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=count))
    for size in range(2, 14):
        compiled(lambda x: x + 1)(torch.ones(size))
    assert len(graphs) == 12


def test_a_machine_without_a_compiler_is_one_clear_line(monkeypatch) -> None:
    def missing(graph, inputs):
        raise InvalidCxxCompiler

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=missing))
    with pytest.raises(InputError, match=r"training\.compile: found true, .*: false, auto$") as e:
        compiled(torch.sin)(torch.ones(2))
    assert isinstance(e.value.__cause__, BackendCompilerFailed)
    assert "\n" not in str(e.value)
