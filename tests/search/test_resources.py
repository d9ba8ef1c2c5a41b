from __future__ import annotations

from functools import partial

import pytest
import torch
from torch._inductor.exc import InvalidCxxCompiler

from allocsearch.config import InputError, load
from allocsearch.data.splits import load_search_data
from allocsearch.search import resources
from allocsearch.search.resources import check_resources, population_size, study_need


@pytest.fixture
def study(tmp_path, write_study):
    def build(**sections):
        config = load(write_study(tmp_path / "tiny.toml", **sections))
        return config, load_search_data(config.data)

    return build


def test_the_depth_that_takes_most_counts(study):
    shallow = study_need(*study(search_space={"layers": 2}))
    deep = study_need(*study(search_space={"layers": 4}))
    both = study_need(*study(search_space={"layers": [2, 4]}))
    assert both == deep
    assert deep.total > shallow.total


def test_a_table_counts_too(study):
    table = {"kind": "table", "budget": 12, "allocations": ["8-4", "4-4-2-2"], "layers": [2, 4]}
    need = study_need(*study(search_space=table))
    deep = study_need(*study(search_space={"layers": 4}))
    assert need.weights == pytest.approx(deep.weights, rel=0.05)


def test_what_does_not_fit_is_refused(study, monkeypatch):
    config, data = study(study={"workers": 2})
    need = study_need(config, data)
    monkeypatch.setattr(resources, "available_memory", lambda device: 2 * need.total)
    check_resources(config, data)
    monkeypatch.setattr(resources, "available_memory", lambda device: 2 * need.total - 1)
    with pytest.raises(InputError, match=r"^memory: the study needs about .* for each of 2"):
        check_resources(config, data)


@pytest.mark.parametrize(
    "model", [{"hidden": 10**6}, {"blocks": "conv", "channels": 10**6, "hidden": 256}]
)
def test_a_model_of_terabytes_is_refused_unbuilt(study, model):
    with pytest.raises(InputError, match=r"^memory: .*weights .* lower model\.hidden, model\.ch"):
        check_resources(*study(model=model))


def test_a_compiler_that_is_not_there_is_found_before_the_start(study, monkeypatch):
    def missing(graph, inputs):
        raise InvalidCxxCompiler

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=missing))
    check_resources(*study())
    with pytest.raises(InputError, match=r"^training\.compile: found true, .*cannot compile here"):
        check_resources(*study(training={"compile": True}))


def test_a_population_takes_more(study, monkeypatch):
    config, data = study(training={"population": 50})
    need = study_need(config, data)
    monkeypatch.setattr(resources, "available_memory", lambda device: need.total)
    with pytest.raises(InputError, match=r"^memory: "):
        check_resources(config, data)


def test_what_is_pretrained_alone_is_counted_once(study, monkeypatch):
    section = {"population": 4, "batch_size": 256, "pretrain": {"epochs": 1}}
    config, data = study(training=section)
    need = study_need(config, data, population=4)
    assert need.pretraining == study_need(config, data).pretraining > need.activations
    monkeypatch.setattr(resources, "available_memory", lambda device: need.total)
    check_resources(config, data)
    monkeypatch.setattr(resources, "available_memory", lambda device: need.total - 1)
    with pytest.raises(
        InputError, match=r"^memory: .* pretraining .* lower training\.batch_size$"
    ):
        check_resources(config, data)


def test_a_batch_larger_than_the_data_needs_what_the_data_do(study):
    pretrain = {"epochs": 1}
    small = study_need(*study(training={"batch_size": 256, "pretrain": pretrain}))
    assert study_need(*study(training={"batch_size": 20_000, "pretrain": pretrain})) == small


@pytest.mark.parametrize(("found", "expected"), [(1, 1), (7, 7), ("auto", 1)])
def test_population_on_a_cpu(study, found, expected):
    training = {"population": found, "device": "cpu"}
    assert population_size(*study(training=training)) == expected


@pytest.mark.parametrize(("free", "expected"), [(0, 1), (10, 10), (1000, 64)])
@pytest.mark.parametrize("pretrained", [{}, {"pretrain": {"epochs": 1}}])
def test_population_on_a_gpu_is_what_half_of_its_memory_holds(
    study, monkeypatch, free, expected, pretrained
):
    config, data = study(training={"population": "auto", "batch_size": 256, **pretrained})
    need = study_need(config, data)
    each = need.weights + need.activations
    monkeypatch.setattr(resources, "device_of", lambda section: torch.device("cuda"))
    monkeypatch.setattr(
        resources, "available_memory", lambda device: 2 * (need.data + free * each) + 10
    )
    assert population_size(config, data) == expected
