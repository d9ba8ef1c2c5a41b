from __future__ import annotations

import pytest

from allocsearch.config import InputError, load
from allocsearch.search.run import prepare
from allocsearch.search.steps import with_steps
from allocsearch.search.storage import load_run_config

CONV = {"hidden": 256, "blocks": "conv", "channels": 4, "depth": 1}


@pytest.fixture
def config_of(tmp_path, write_study):
    def call(space, latents="spatial"):
        path = tmp_path / "study.toml"
        model = {**CONV, "latents": latents}
        return load(write_study(path, search_space=space, model=model))

    return call


def test_a_study_without_a_step_takes_the_positions_of_the_maps(config_of):
    fitted = with_steps(config_of({"budget": 36}), (8, 8))
    assert fitted.search_space.step == (16, 4)
    assert [str(a) for a in fitted.search_space.lattices()[2]] == ["16-20", "32-4"]


def test_a_searched_number_of_layers_takes_their_common_multiple(config_of):
    fitted = with_steps(config_of({"budget": 48, "layers": [1, 2, 3]}), (8, 8))
    assert fitted.search_space.step == (16,)


def test_steps_that_fit_are_kept(config_of):
    for space in ({"budget": 40, "step": [32, 8]}, {"budget": 48, "step": 16}):
        config = config_of(space)
        assert with_steps(config, (8, 8)) is config
    dense = config_of({"budget": 37}, latents="dense")
    assert with_steps(dense, (8, 8)) is dense


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (
            {"budget": 34, "step": [18, 4]},
            "search_space.step: found 18 as step in layer 1; allowed: multiples of 16, ",
        ),
        (
            {"budget": 36, "step": 2},
            "search_space.step: found 2 as step in layer 1; allowed: multiples of 16, ",
        ),
        ({"budget": 37}, "search_space.budget: budget 37 is not a sum of multiples of step "),
        (
            {"kind": "table", "budget": 40, "allocations": ["32-8", "30-10"]},
            "search_space.allocations: 30-10 has 30 dims in layer 1; allowed: multiples of 16, ",
        ),
    ],
)
def test_what_the_layers_cannot_take_is_one_line(config_of, space, expected):
    with pytest.raises(InputError) as caught:
        with_steps(config_of(space), (8, 8))
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_an_impossible_budget_names_the_nearest_possible_ones(config_of):
    with pytest.raises(InputError, match="nearest possible: 36 or 40"):
        with_steps(config_of({"budget": 37}), (8, 8))


def test_the_run_folder_states_the_steps_and_can_be_continued(config_of, tmp_path):
    folder = tmp_path / "run"
    prepared = prepare(config_of({"budget": 36}), folder)
    assert prepared.search_space.step == (16, 4)
    assert load_run_config(folder) == prepared
    assert prepare(config_of({"budget": 36}), folder) == prepared
