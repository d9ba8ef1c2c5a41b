"""What the trials of a study take of the machine that runs them."""

from __future__ import annotations

from dataclasses import replace

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection, StudyConfig
from allocsearch.data.splits import SearchData
from allocsearch.models.build import build_model
from allocsearch.training.device import device_of
from allocsearch.training.memory import MemoryNeed, available_memory, check_memory, memory_need

# More candidates at once than this bring nothing on any GPU we know of.
_MOST_TOGETHER = 64


def study_need(config: StudyConfig, data: SearchData) -> MemoryNeed:
    """The memory that one worker takes for one candidate, for the depth that takes most.

    Args:
        config: The study.
        data: The data of its search.
    """
    sets = (data.train, data.validation, *data.ood_validation)
    size = sum(dataset.values.nbytes for dataset in sets)
    needs = [
        memory_need(
            build_model(allocation, data.train.shape, config.model, 0),
            config.training,
            config.evaluation,
            validation=len(data.validation),
            data=size,
        )
        for allocation in _one_of_each_depth(config.search_space)
    ]
    return max(needs, key=lambda need: need.total)


def _one_of_each_depth(space: SearchSpaceSection) -> list[Allocation]:
    if space.kind == "table":
        return list(
            {text.count("-"): Allocation.parse(text) for text in space.allocations}.values()
        )
    return [Allocation.from_ratio(1.0, lattice) for lattice in space.lattices().values()]


def check_resources(config: StudyConfig, data: SearchData) -> None:
    """Refuse a study that does not fit into the memory that is free, or a GPU that is not there.

    Args:
        config: The study.
        data: The data of its search.

    Raises:
        InputError: If it does not fit, or there is no such device.
    """
    device = device_of(config.training)
    need = study_need(config, data)
    together = 1 if config.training.population == "auto" else config.training.population
    whole = replace(need, weights=need.weights * together, activations=need.activations * together)
    check_memory(whole, config.study.workers, available_memory(device))


def population_size(config: StudyConfig, data: SearchData) -> int:
    """The candidates that are trained together: `training.population`, `auto` resolved.

    On a CPU `auto` is 1: batched products of masked weights are slower there than one narrow
    model after the other (benchmarks/RESULTS.md). On a GPU it is what half of each worker's share
    of the free memory holds, at most 64.

    Args:
        config: The study.
        data: The data of its search.
    """
    population = config.training.population
    if population != "auto":
        return population
    device = device_of(config.training)
    if device.type == "cpu":
        return 1
    need = study_need(config, data)
    spare = available_memory(device) / config.study.workers / 2 - need.data
    return int(min(max(spare // (need.weights + need.activations), 1), _MOST_TOGETHER))
