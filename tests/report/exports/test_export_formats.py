"""Formats that other programs read: what these programs make of them."""

from __future__ import annotations

import dataclasses
import json
import runpy
from pathlib import Path

import hydra
import pytest

from allocsearch.config import InputError, ModelSection, TrainerSection, hvae_oodd_config
from allocsearch.report.exports.export import export_trial, load_export
from allocsearch.report.exports.export_formats import export_text, format_of
from allocsearch.report.exports.pick import pick
from allocsearch.search.feature_maps import feature_maps

EVIL = "\"'''\\ {x} $seed %s \n# @package other"


@pytest.fixture
def exported(study):
    found = export_trial(study, pick(study, "knee"))
    origin = found.provenance.model_copy(update={"study": EVIL})
    return found.model_copy(update={"provenance": origin})


def _widths(exported):
    return feature_maps(exported.dims, exported.model, exported.data)


def _with_model(exported, **model):
    return exported.model_copy(update={"model": ModelSection.model_validate(model)})


@pytest.mark.parametrize(
    ("named", "out", "expected"),
    [
        (None, None, "toml"),
        (None, "a.yml", "yaml"),
        (None, "a.json", "json"),
        (None, "a.py", "python"),
        (None, "folder", "toml"),
        (None, "-", "toml"),
        ("hvae-oodd", "a.json", "hvae-oodd"),
        ("hydra", "a.yaml", "hydra"),
    ],
)
def test_the_format_follows_its_name_or_the_ending(named, out, expected):
    assert format_of(named, None if out is None else Path(out)) == expected


@pytest.mark.parametrize(
    ("named", "out"), [("toml", "a.py"), ("python", "a.toml"), ("hvae-oodd", "a.yaml")]
)
def test_a_format_that_the_ending_contradicts_is_refused(named, out):
    with pytest.raises(InputError, match=rf"--out {out}: the ending says .* is {named}"):
        format_of(named, Path(out))


def test_hydra_composes_the_option_of_its_group(exported, tmp_path):
    group = tmp_path / "conf" / "allocation"
    group.mkdir(parents=True)
    (group / "best.yaml").write_text(export_text(exported, "hydra", _widths))
    (group.parent / "config.yaml").write_text("defaults:\n  - allocation: best\n  - _self_\n")
    with hydra.initialize_config_dir(str(group.parent), version_base=None):
        config = hydra.compose("config", overrides=["allocation.training.epochs=7"])
    found = config.allocation
    assert list(found.dims) == list(exported.dims)
    assert found.seed == exported.seed
    assert found.training.epochs == 7
    assert found.training.learning_rate == exported.training.learning_rate
    assert found.metrics["auroc"] == exported.metrics["auroc"]
    assert found.provenance.study == EVIL
    assert list(config) == ["allocation"]


def test_what_hydra_reads_can_be_trained_as_well(exported, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(export_text(exported, "hydra", _widths), newline="")
    assert load_export(path) == exported


def test_an_interpolation_for_hydra_is_refused(exported):
    origin = exported.provenance.model_copy(update={"versions": {"torch": "${oc.env:HOME}"}})
    odd = exported.model_copy(update={"provenance": origin})
    with pytest.raises(InputError, match=r"provenance\.versions\.torch is '\$\{oc"):
        export_text(odd, "hydra", _widths)


def test_the_python_module_builds_the_model(exported, tmp_path, capsys):
    from allocsearch.data.splits import load_search_data
    from allocsearch.models.build import build_model

    path = tmp_path / "model.py"
    path.write_text(export_text(exported, "python", _widths))
    module = runpy.run_path(str(path), run_name="__main__")
    shape = load_search_data(exported.own_data).train.shape
    expected = build_model(exported.parsed_allocation, shape, exported.model, exported.seed)
    assert capsys.readouterr() == (f"{expected}\n", "")
    # What it holds is what was exported, text of others included.
    assert module["PROVENANCE"] == exported.provenance.model_dump(mode="json", exclude_none=True)
    assert module["METRICS"] == exported.metrics
    assert module["TRAINING"] == exported.training
    assert module["DATA"] == exported.data


def test_a_foreign_model_has_no_python_module(study):
    trainer = TrainerSection(kind="command", command=("t", "{allocation}", "{out}"))
    config = study.config.model_copy(update={"trainer": trainer})
    exported = export_trial(dataclasses.replace(study, config=config), pick(study, "knee"))
    with pytest.raises(InputError, match=r"--format python: trainer\.kind is 'command'"):
        export_text(exported, "python", _widths)


@pytest.mark.parametrize(
    ("model", "dims", "features", "blocks"),
    [
        ({"depth": 1}, (14, 6, 4), [14, 6, 4], ["GaussianDense"] * 3),
        (
            # Maps of 4 x 4 and 2 x 2 positions, for digits of 8 x 8 pixels.
            {"blocks": "conv", "depth": 1, "latents": ["spatial", "spatial", "dense"]},
            (32, 12, 5),
            [2, 3, 5],
            ["GaussianConv2d", "GaussianConv2d", "GaussianDense"],
        ),
    ],
)
def test_the_keys_and_the_nesting_of_hvae_oodd(exported, model, dims, features, blocks):
    chosen = _with_model(exported, **model).model_copy(update={"dims": dims})
    found = json.loads(export_text(chosen, "hvae-oodd", _widths))
    assert list(found) == ["config_deterministic", "config_stochastic"]
    block = {
        "block": "ResBlockConv2d",
        "out_channels": 64,
        "kernel_size": 3,
        "stride": 2,
        "weightnorm": True,
        "gated": False,
    }
    assert found["config_deterministic"] == [[block]] * 3
    assert found["config_stochastic"] == [
        {"block": name, "latent_features": d, "weightnorm": True}
        for name, d in zip(blocks, features, strict=True)
    ]


def test_spatial_latents_of_a_foreign_program_are_feature_maps_already(exported):
    model = ModelSection(blocks="conv", latents=("spatial",))
    assert feature_maps((32, 12, 5), model, None) == (32, 12, 5)
    assert hvae_oodd_config((1,), model)["config_stochastic"][0]["block"] == "GaussianConv2d"
