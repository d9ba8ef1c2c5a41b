from __future__ import annotations

import dataclasses
import json
import math
import tomllib

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocsearch.allocation import Allocation
from allocsearch.config import (
    DataSection,
    EvaluationSection,
    InputError,
    ModelSection,
    TrainerSection,
    TrainingSection,
)
from allocsearch.report.exports.export import (
    ExportedAllocation,
    Provenance,
    export_trial,
    load_export,
)
from allocsearch.report.exports.pick import pick

VERSIONS = {"allocsearch": "0.1.0", "torch": "2.15.0+cu130", "python": "3.11.9"}
FORMATS = ("toml", "yaml", "json")

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# Lone surrogates are no text; everything else must survive.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SOURCES = st.one_of(
    st.just("digits"),
    st.builds(
        lambda path, array: {"source": "numpy", "path": [path], "array": array}, _TEXT, _TEXT
    ),
)


@st.composite
def _exports(draw: st.DrawFn) -> ExportedAllocation:
    dims = tuple(draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=5)))
    data = {"id": draw(_SOURCES), "ood_validation": ["inversion"], "ood_test": ["MNIST"]}
    return ExportedAllocation(
        allocation=str(Allocation(dims)),
        dims=dims,
        seed=draw(st.integers(0, 2**63)),
        data=DataSection.model_validate(data),
        model=ModelSection(hidden=draw(st.integers(1, 4096))),
        training=TrainingSection(
            learning_rate=draw(st.floats(1e-300, 1e300)),
            kl_warmup=draw(st.floats(0, 1)),
            gradient_clip=draw(st.floats(5e-324, 1e308)),
        ),
        evaluation=EvaluationSection(score="kl_1"),
        provenance=Provenance(
            study=draw(_TEXT),
            trial=draw(st.integers(0, 10**6)),
            versions=draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
            data_fingerprint=draw(st.none() | _TEXT),
        ),
        metrics=draw(st.dictionaries(_TEXT, _FLOATS, max_size=5)),
    )


@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(exported=_exports())
def test_every_format_reads_back_equal(tmp_path, exported):
    for ending in FORMATS:
        path = tmp_path / f"best.{ending}"
        path.write_bytes(exported.to_text(ending).encode())
        loaded = load_export(path)
        assert loaded == exported
        # Equality of floats hides the sign of zero.
        assert repr(loaded) == repr(exported)


@pytest.fixture
def exported(study):
    chosen = dataclasses.replace(pick(study, "knee"), provenance={**VERSIONS, "data": "abc"})
    return export_trial(study, chosen)


def test_export_holds_what_trains_it_again(study, exported):
    trial = pick(study, "knee")
    assert exported.parsed_allocation == trial.allocation
    assert exported.seed == trial.seed
    for section in ("data", "model", "training", "evaluation"):
        assert getattr(exported, section) == getattr(study.config, section)
    assert exported.metrics == trial.metrics
    assert exported.provenance == Provenance(
        study="synthetic-24", trial=trial.number, versions=VERSIONS, data_fingerprint="abc"
    )


def test_metrics_that_are_not_finite_are_left_out(study):
    trial = pick(study, "knee")
    odd = dataclasses.replace(trial, metrics={"elbo": math.nan, "rate": math.inf, "auroc": 0.5})
    assert export_trial(study, odd).metrics == {"auroc": 0.5}


def test_a_foreign_trainer_is_exported_and_needs_no_data(study, tmp_path):
    trainer = TrainerSection(kind="command", command=("t", "{allocation}", "{out}"))
    config = study.config.model_copy(update={"data": None, "trainer": trainer})
    record = dataclasses.replace(study, config=config)
    exported = export_trial(record, pick(record, "knee"))
    assert (exported.data, exported.trainer) == (None, trainer)
    for ending in FORMATS:
        path = tmp_path / f"best.{ending}"
        path.write_text(exported.to_text(ending))
        assert load_export(path) == exported
    content = tomllib.loads(exported.to_toml())
    del content["trainer"]
    (tmp_path / "own.toml").write_text(tomli_w.dumps(content))
    with pytest.raises(InputError, match=r"own\.toml: data: missing; it has no default"):
        load_export(tmp_path / "own.toml")


def test_our_own_trainer_is_not_written(study, exported):
    assert exported.trainer is None
    assert "trainer" not in exported.to_toml()


def test_trial_without_allocation(study):
    waiting = dataclasses.replace(study.trials[0], state="waiting", allocation=None)
    with pytest.raises(InputError, match=r"trial 0 \(waiting\) has no allocation"):
        export_trial(study, waiting)


def _edited(exported: ExportedAllocation, **changes: object) -> dict[str, object]:
    return {**tomllib.loads(exported.to_toml()), **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 3}, ["schema_version: found 3", "reads up to 2; upgrade"]),
        ({"sed": 3}, ["sed: unknown key", "Did you mean seed?", "dims, seed, data"]),
        (
            {"model": {"hiden": 3}},
            ["model.hiden: unknown key", "Did you mean model.hidden?", "depth, skip"],
        ),
        ({"model": 3}, ["model: found 3", "a section with inference, "]),
        (
            {"data": {"id": "digits", "ood_test": [{"shift": "rotation", "strenght": 1.0}]}},
            ["data.ood_test.0.strenght: unknown key", "data.ood_test.0.strength?"],
        ),
        ({"seed": "3"}, ["seed: found '3'", "integer"]),
        ({"allocation": "1-2-3"}, ["dims: found ", "allocation 1-2-3 has other dims"]),
        ({"allocation": "1--3"}, ["allocation: not an allocation: '1--3'"]),
        ({"dims": [0, 24]}, ["dims.0: found 0"]),
        ({"metrics": {"elbo": math.nan}}, ["metrics.elbo", "found nan", "finite"]),
        ({"evaluation": {"score": "llr_7"}}, ["evaluation.score: unknown score 'llr_7'", "llr_1"]),
        ({"data": {"id": "MNISTT"}}, ["data.id"]),
        ({"data": {"id": "digits", "ood_test": ["a b"]}}, ["data.ood_test", "a b"]),
        ({"provenance": {"study": "s"}}, ["provenance.trial: missing"]),
    ],
)
def test_mistakes_are_one_line_that_names_file_and_key(tmp_path, exported, changes, words):
    path = tmp_path / "best.toml"
    path.write_text(tomli_w.dumps(_edited(exported, **changes)))
    with pytest.raises(InputError) as caught:
        load_export(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("best.txt", b"", "found .txt; allowed: a readable .toml, .yaml, .yml or .json"),
        ("best", b"", "found no ending"),
        ("best.toml", b"a = ", "not valid TOML"),
        ("best.yaml", b"a: [", "not valid YAML"),
        ("best.yaml", b"!!python/object/apply:os.system [id]", "not valid YAML"),
        ("best.json", b"{", "not valid JSON"),
        ("best.json", b"[" * 100_000, "not valid JSON"),
        ("best.json", b"[1]", "found [1]; allowed: keys with values"),
        ("best.yaml", b"1: 2", "found {1: 2}; allowed: keys with values"),
        ("best.toml", b"\xff\xfe\x00", "not text"),
        ("best.json", b"{}", "missing"),
    ],
)
def test_unreadable_files(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_export(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_export(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match="directory"):
        load_export(tmp_path / "folder.toml")


def test_json_is_strict(exported):
    def refuse(text: str) -> None:
        raise AssertionError(text)

    json.loads(exported.to_json(), parse_constant=refuse)
