from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import psutil
import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, InputError, ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.memory import MemoryNeed, available_memory, check_memory, memory_need
from allocsearch.training.pretraining import contrastive_loss

NEED = MemoryNeed(data=10**9, weights=2 * 10**8, activations=3 * 10**9, measurement=10**9)


def model_of(hidden: int = 32) -> HVAE:
    return build_model(Allocation((6, 3)), (10, 10), ModelSection(hidden=hidden), 0)


def need_of(model: HVAE, batch_size: int = 64, samples: int = 16, **changes: int) -> MemoryNeed:
    counts = {"train": 1000, "validation": 500, "data": 123, **changes}
    training = TrainingSection(batch_size=batch_size)
    return memory_need(model, training, EvaluationSection(samples=samples), **counts)


def pretrained_need(model: HVAE, batch_size: int, **changes: int) -> MemoryNeed:
    section = {"batch_size": batch_size, "pretrain": {"epochs": 1}}
    training = TrainingSection.model_validate(section)
    counts = {"train": 1000, "validation": 500, "data": 123, **changes}
    return memory_need(model, training, EvaluationSection(), **counts)


def kept_for_backward(model: HVAE, step: Callable[[], Tensor]) -> int:
    """Bytes of all the tensors that the graph of one step holds, counted one by one."""
    sizes: dict[int, int] = {}
    weights = {weight.data_ptr() for weight in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        assert step().requires_grad
    return sum(sizes.values())


def elbo_step(model: HVAE, batch: int) -> Tensor:
    noise = model.draw_noise(batch, torch.Generator().manual_seed(0))
    return model(torch.zeros(batch, model.likelihood.features), noise).log_likelihood


def test_weights_are_counted_four_times() -> None:
    model = model_of()
    bytes_of_weights = sum(w.numel() * w.element_size() for w in model.parameters())
    assert need_of(model).weights == 4 * bytes_of_weights


def test_a_step_needs_what_its_graph_holds_at_any_batch_size() -> None:
    model = model_of()
    for batch in (16, 512):
        held = kept_for_backward(model, partial(elbo_step, model, batch))
        # Every unit and its gradient.
        assert need_of(model, batch).activations == pytest.approx(2 * held, rel=0.05)


def test_a_step_of_a_pretraining_needs_what_its_graph_holds() -> None:
    model, batch = model_of(), 400
    need = pretrained_need(model, batch)
    held = kept_for_backward(
        model, lambda: contrastive_loss(0.5)(model.encoding(torch.zeros(2 * batch, 100)))
    )
    assert need.pretraining == pytest.approx(2 * held, rel=0.2)
    # A batch so large is dearer than a step by the ELBO; without the section nothing changes.
    assert need.pretraining > need.activations == need_of(model, batch).activations
    assert need_of(model, batch).pretraining == 0


def test_no_batch_has_more_than_the_training_examples() -> None:
    model = model_of()
    assert pretrained_need(model, 20_000, train=100) == pretrained_need(model, 100)
    assert need_of(model, 20_000, train=100) == need_of(model, 100)


def test_the_draws_of_a_measurement_are_within_its_need() -> None:
    examples, samples = 5_000, 16
    model = model_of()
    least = need_of(model, validation=0).measurement
    draws = need_of(model, validation=examples).measurement - least
    tensors = 4 * examples * samples * sum(model.widths)
    # Mean, log variance, noise and draw of every pass, beside the joined three.
    assert 7 * tensors <= draws <= 20 * tensors
    assert need_of(model, samples=64).measurement > need_of(model, samples=16).measurement


def test_a_population_is_trained_at_once_and_else_one_by_one() -> None:
    model = model_of()
    one, four = pretrained_need(model, 64), pretrained_need(model, 64, population=4)
    assert (four.weights, four.activations) == (4 * one.weights, 4 * one.activations)
    assert (four.measurement, four.data) == (one.measurement, one.data)
    assert four.pretraining == one.pretraining > 0


def test_the_estimate_leaves_the_model() -> None:
    model = model_of()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    need_of(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_is_pretrained_then_trained_then_measured() -> None:
    assert NEED.total == 4_200_000_000
    assert replace(NEED, pretraining=4 * 10**9).total == 5_200_000_000
    assert need_of(model_of()).data == 123


def test_what_fits_is_not_refused() -> None:
    check_memory(NEED, 1, NEED.total)
    check_memory(NEED, 3, 3 * NEED.total)


def test_what_does_not_fit_is_one_line_with_need_free_memory_and_keys() -> None:
    with pytest.raises(InputError) as error:
        check_memory(NEED, 1, 4 * 10**9)
    assert str(error.value) == (
        "memory: the study needs about 4.2 GB (data 1 GB, weights 0.2 GB, training step 3 GB, "
        "measurement 1 GB); 4 GB are free; lower training.batch_size or training.population"
    )


def test_workers_need_their_memory_side_by_side() -> None:
    check_memory(NEED, 2, 9 * 10**9)
    with pytest.raises(
        InputError, match=r"about 13 GB, 4\.2 GB for each of 3 workers .*"
    ) as error:
        check_memory(NEED, 3, 9 * 10**9)
    assert str(error.value).endswith("or study.workers")


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("data", "data.train_size"),
        ("weights", "model.hidden"),
        ("activations", "training.batch_size"),
        ("measurement", "evaluation.samples"),
        ("pretraining", "training.batch_size$"),
    ],
)
def test_the_keys_to_lower_are_those_of_the_largest_part(part: str, key: str) -> None:
    parts = dict.fromkeys(("data", "weights", "activations", "measurement", "pretraining"), 1)
    with pytest.raises(InputError, match=f"lower {key}"):
        check_memory(MemoryNeed(**{**parts, part: 10**9}), 1, 10)


def test_free_memory_is_that_of_the_machine(monkeypatch) -> None:
    free = available_memory(torch.device("cpu"))
    assert 0 < free <= psutil.virtual_memory().total
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 9))
    assert available_memory(torch.device("cuda")) == 7
