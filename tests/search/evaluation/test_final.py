"""The final evaluation on a tiny study, in this process."""

from __future__ import annotations

import ast
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from filelock import FileLock

import allocsearch
from allocsearch.allocation import Allocation
from allocsearch.config import InputError, load
from allocsearch.data.splits import load_search_data, load_test_data
from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.scorer import Scorer
from allocsearch.models.build import build_model
from allocsearch.search.evaluation import final, fresh
from allocsearch.search.evaluation.baselines import UNIFORM
from allocsearch.search.evaluation.entrants import Pick
from allocsearch.search.evaluation.evaluations import (
    OPENINGS_NAME,
    read_evaluation,
    read_openings,
)
from allocsearch.search.evaluation.final import evaluate
from allocsearch.search.evaluation.fresh import FreshTraining, fresh_seeds
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.objective import measurement_settings
from allocsearch.search.records import read_run
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study, write_atomically
from allocsearch.search.worker import work
from allocsearch.spaces import build_space
from allocsearch.training.loop import train

SETS = {
    "id": {"source": "digits", "classes": [0, 1, 2, 3, 4, 5, 6]},
    "ood_validation": ["inversion", {"source": "digits", "name": "seven", "classes": [7]}],
    "ood_test": [
        {"source": "digits", "name": "eight", "classes": [8]},
        {"source": "digits", "name": "nine", "classes": [9]},
    ],
    "test_size": 64,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory, write_study):
    """Run folders of a tiny study with a named score, and with `auto`."""
    folder = tmp_path_factory.mktemp("searched")
    for name, score in (("named", "llr_1"), ("auto", "auto")):
        # Not the default, whose first trial is the uniform split itself.
        own = {"name": name, "sampler": "tpe"}
        file = write_study(
            folder / f"{name}.toml", study=own, data=SETS, evaluation={"score": score}
        )
        config = load(file)
        run = folder / name
        run.mkdir()
        write_atomically(run / "study.toml", config.to_toml())
        study = open_study(config, run, create=True)
        fill(study, config, build_space(config.search_space))
        work(study, config, run, HVAETrainer(config))
    return folder


@pytest.fixture
def copied(searched, tmp_path):
    """A copy of a run to evaluate: its record."""

    def copy(name="named"):
        shutil.copytree(searched / name, tmp_path / name)
        return read_run(tmp_path / name)

    return copy


def picks(record, *numbers):
    return [Pick(f"trial:{number}", record.trials[number]) for number in numbers]


def by_role(evaluation, role):
    (found,) = (each for each in evaluation.evaluated if role in each.roles)
    return found


def test_values_are_those_of_models_trained_and_scored_by_hand(copied):
    record = copied()
    evaluation = evaluate(record, picks(record, 0), 2, 1)
    config, allocation = record.config, record.trials[0].allocation
    data, test = load_search_data(config.data), load_test_data(config.data)
    aurocs, elbos = [], []
    for seed in fresh_seeds(record, 2):
        model = build_model(allocation, data.train.shape, config.model, seed)
        train(model, data.train.values, config.training, seed)
        passes = measurement_settings(config.evaluation, seed).passes
        scorer = Scorer.fit(model, data.train.values, passes)
        of_id = scorer.score(test.test.values)
        aurocs.append(
            [auroc(of_id["llr_1"], scorer.score(s.values)["llr_1"]) for s in test.ood_test]
        )
        elbos.append(-float(of_id["negative_elbo"].double().mean()))
    found = by_role(evaluation, "trial 0")
    assert found.allocation == str(allocation)
    assert found.score == "llr_1"
    assert found.chosen == "named by the study"
    assert [each.name for each in found.sets] == ["eight", "nine"]
    for each, own in zip(found.sets, zip(*aurocs, strict=True), strict=True):
        assert each.auroc == pytest.approx(fmean(own), abs=1e-9)
        assert each.low <= each.auroc <= each.high
    assert found.worst.auroc == min(each.auroc for each in found.sets)
    assert found.elbo == pytest.approx(fmean(elbos), rel=1e-9)
    uniform = by_role(evaluation, UNIFORM)
    assert all(each.difference is None for each in uniform.sets)
    assert found.sets[0].difference == pytest.approx(
        found.sets[0].auroc - uniform.sets[0].auroc, abs=1e-9
    )
    assert read_evaluation(record.folder, evaluation.opening) == evaluation
    assert evaluation.validation_sets == ("inversion", "seven")


def test_seeds_are_fresh_and_equal_for_all(copied):
    record = copied()
    seeds = fresh_seeds(record, 50)
    trained = {trial.seed for trial in record.trials}
    assert len({*seeds}) == 50
    assert trained.isdisjoint(seeds)
    taken = replace(record.trials[0], seed=seeds[0])
    assert fresh_seeds(replace(record, trials=(taken,)), 2) == seeds[1:3]


def test_score_is_chosen_on_validation_data(copied):
    record = copied("auto")
    evaluation = evaluate(record, picks(record, 1), 1, 1)
    found = by_role(evaluation, "trial 1")
    assert found.score == record.trials[1].score
    assert found.chosen == "chosen on validation sets inversion, seven (trial 1)"
    baseline = evaluation.evaluated[-1]
    (seed,) = evaluation.opening.seeds
    own = FreshTraining(Allocation.parse(baseline.allocation), seed, record.config, record.folder)
    written = json.loads((own.folder / "metrics.json").read_text())
    assert baseline.score == written["score"]
    assert baseline.chosen.endswith("(its training here)")


def test_all_is_trained_and_recorded_before_a_test_example_is_scored(copied, monkeypatch):
    record = copied()
    seen = []

    def score(job, check):
        seen.append((len(read_openings(record.folder)), job.training.done))
        assert all(training.done for training in expected)
        real(job, check)

    real = final._score
    monkeypatch.setattr(final, "_score", score)
    expected = [
        FreshTraining(record.trials[0].allocation, seed, record.config, record.folder)
        for seed in fresh_seeds(record, 2)
    ]
    evaluation = evaluate(record, picks(record, 0), 2, 1)
    assert seen == [(1, True)] * 2 * len(evaluation.evaluated)


def test_broken_off_anywhere_it_goes_on(copied, monkeypatch):
    whole = copied()
    expected = evaluate(whole, picks(whole, 0, 1), 2, 1)
    shutil.rmtree(whole.folder)
    record = copied()
    calls = {"trained": 0, "scored": 0}
    limits = iter([(2, 9), (3, 0), (99, 3), (99, 99)])

    def counted(name, function):
        def call(*arguments):
            if calls[name] >= limit[name]:
                raise KeyboardInterrupt
            calls[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(final, "train_fresh", counted("trained", fresh.train_fresh))
    monkeypatch.setattr(final, "_score", counted("scored", final._score))
    interrupted = 0
    for trained, scored in limits:
        limit = {"trained": trained, "scored": scored}
        try:
            evaluation = evaluate(record, picks(record, 0, 1), 2, 1)
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted == 3
    total = 2 * len(expected.evaluated)
    assert calls == {"trained": total, "scored": total}
    assert evaluation.evaluated == expected.evaluated
    assert len(read_openings(record.folder)) == 1
    # Once it has ended nothing is done again, and it is not counted again.
    assert evaluate(record, picks(record, 0, 1), 2, 1) == evaluation
    assert calls == {"trained": total, "scored": total}
    assert len(read_openings(record.folder)) == 1


def test_other_picks_on_the_same_sets_are_refused_unless_again(copied):
    record = copied()
    evaluate(record, picks(record, 0), 1, 1)
    with pytest.raises(InputError) as refused:
        evaluate(record, picks(record, 1), 1, 1)
    line = str(refused.value)
    assert "opened 1 time in this run" in line
    assert str(record.trials[0].allocation) in line
    assert "repeated test evaluation is the mistake" in line
    assert "--again" in line
    assert len(read_openings(record.folder)) == 1
    # More seeds of the same picks choose nothing; they are counted.
    evaluate(record, picks(record, 0), 2, 1)
    again = evaluate(record, picks(record, 1), 1, 1, again=True)
    openings = read_openings(record.folder)
    assert [opening.number for opening in openings] == [1, 2, 3]
    assert [opening.again for opening in openings] == [False, False, True]
    assert openings[-1] == again.opening
    assert openings[0].picked == (str(record.trials[0].allocation),)


def test_same_allocation_by_another_pick_is_no_other_pick(copied):
    record = copied()
    first = evaluate(record, picks(record, 0), 1, 1)
    second = evaluate(record, [Pick("knee", record.trials[0])], 1, 1)
    assert second.opening == first.opening


def test_broken_record_is_not_replaced(copied):
    record = copied()
    (record.folder / OPENINGS_NAME).write_text("[{}]")
    with pytest.raises(InputError, match=OPENINGS_NAME):
        evaluate(record, picks(record, 0), 1, 1)
    assert (record.folder / OPENINGS_NAME).read_text() == "[{}]"


def test_training_that_diverges_is_told(copied):
    record = copied()
    wild = record.config.training.model_copy(update={"learning_rate": 1e30, "gradient_clip": 1e30})
    record = replace(record, config=record.config.model_copy(update={"training": wild}))
    evaluation = evaluate(record, picks(record, 0), 2, 1)
    for each in evaluation.evaluated:
        assert (each.score, each.seeds, each.sets, each.worst) == (None, (), (), None)
        assert set(each.failures) == {str(seed) for seed in evaluation.opening.seeds}
        assert all("nan" in r.lower() or "inf" in r.lower() for r in each.failures.values())


@pytest.mark.parametrize(
    ("section", "changes", "key"),
    [
        ("data", {"ood_test": ()}, "data.ood_test: found no set"),
        ("data", {"ood_validation": ()}, "evaluation.score: found 'auto'"),
    ],
)
def test_study_that_cannot_be_evaluated(copied, section, changes, key):
    record = copied("auto")
    changed = getattr(record.config, section).model_copy(update=changes)
    config = record.config.model_copy(update={section: changed})
    with pytest.raises(InputError, match=key):
        evaluate(replace(record, config=config), picks(record, 0), 1, 1)
    assert not (record.folder / "evaluations").exists()


def test_other_data_than_that_of_the_search(copied):
    record = copied()
    other = record.config.data.model_copy(update={"seed": 9})
    changed = replace(record, config=record.config.model_copy(update={"data": other}))
    with pytest.raises(InputError, match="trial 0 was trained and measured on data with"):
        evaluate(changed, picks(record, 0), 1, 1)
    assert read_openings(record.folder) == ()


def test_two_evaluations_at_once(copied):
    record = copied()
    place = record.folder / "evaluations"
    place.mkdir()
    with (
        FileLock(place / ".lock"),
        pytest.raises(InputError, match="another evaluation of this run is going on"),
    ):
        evaluate(record, picks(record, 0), 1, 1)


def _names_used(path):
    """Every name that a module imports, reads as an attribute, or holds as text."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _importing(package, module):
    for path in package.rglob("*.py"):
        if f"from {module} import" in path.read_text():
            yield str(path.relative_to(package))


def test_test_data_is_loaded_by_the_final_evaluation_alone():
    package = Path(allocsearch.__file__).parent
    using = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if {"load_test_data", "TestData", "ood_test"} & {*_names_used(path)}
    }
    # The schema, the loader, and the prediction, which leaves it out, know of test data.
    knowing = {"config/data.py", "data/splits.py", "search/predictor.py"}
    room = "search/evaluation"
    # What the final evaluation hands them to imports only the type, and nobody else imports that.
    assert using == {*knowing, f"{room}/final.py", f"{room}/plain_baselines.py"}
    name = "allocsearch.search.evaluation.plain_baselines"
    assert [*_importing(package, name)] == [f"{room}/final.py"]
    (left_out,) = re.findall(".*ood_test.*", (package / "search" / "predictor.py").read_text())
    assert '"ood_test": ()' in left_out


def test_the_search_does_not_import_the_final_evaluation():
    """What a worker imports, all the way down."""
    package = Path(allocsearch.__file__).parent
    seen, left = set(), ["allocsearch.search.worker", "allocsearch.search.run"]
    while left:
        name = left.pop()
        path = package.parent.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in seen or not path.exists():
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("allocsearch"):
                left += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                left += [a.name for a in node.names if a.name.startswith("allocsearch")]
    assert "allocsearch.data.splits" in seen
    assert "allocsearch.search.evaluation.final" not in seen


def _trials(folder, config):
    run = folder / "run"
    run.mkdir(parents=True)
    study = open_study(config, run, create=True)
    fill(study, config, build_space(config.search_space))
    work(study, config, run, HVAETrainer(config))
    write_atomically(run / "study.toml", config.to_toml())
    scores = [
        (run / "trials" / str(n) / "scores.npz").read_bytes() for n in range(config.study.trials)
    ]
    found = [(t.allocation, t.seed, t.values, dict(t.metrics)) for t in read_run(run).trials]
    return found, scores


def _images(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 6), dtype=np.uint8)


def _write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    code = 0x08
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


def test_poisoned_test_files_do_not_move_a_search(tmp_path, write_study, monkeypatch):
    """Other bytes, broken ones, none at all; in OOD test files and in the official test part."""
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("allocsearch.data.roots.SYSTEM_ROOT", tmp_path / "system")
    raw = tmp_path / "data" / "MNIST" / "raw"
    for part, n in (("train", 400), ("t10k", 100)):
        _write_idx(raw / f"{part}-images-idx3-ubyte", _images(n, n))
        _write_idx(raw / f"{part}-labels-idx1-ubyte", np.zeros(n, np.uint8))
    other = tmp_path / "data" / "far.idx"
    _write_idx(other, _images(90, 1))
    config = load(
        write_study(
            tmp_path / "poison.toml",
            study={"trials": 2},
            data={
                "id": "MNIST",
                "ood_validation": ["inversion"],
                "ood_test": [{"source": "idx", "name": "far", "path": "far.idx"}],
                "train_size": 300,
                "validation_size": 64,
                "test_size": 50,
            },
        )
    )
    clean = load_test_data(config.data)
    expected = _trials(tmp_path / "clean", config)
    files = [raw / "t10k-images-idx3-ubyte", other]
    for path, seed in zip(files, (7, 8), strict=True):
        _write_idx(path, _images(100, seed))
    poisoned = load_test_data(config.data)
    assert poisoned.test.fingerprint != clean.test.fingerprint
    assert poisoned.ood_test[0].fingerprint != clean.ood_test[0].fingerprint
    assert _trials(tmp_path / "poisoned", config) == expected
    for path in files:
        path.write_bytes(b"no IDX file")
    with pytest.raises(InputError):
        load_test_data(config.data)
    assert _trials(tmp_path / "broken", config) == expected
    for path in files:
        path.unlink()
    assert _trials(tmp_path / "gone", config) == expected


def test_poisoned_test_part_of_one_file_does_not_move_a_search(tmp_path, write_study):
    """The ID source has no official parts: its test examples lie among the others."""
    array = _images(400, 0)
    path = tmp_path / "id.npy"
    np.save(path, array)
    sizes = {"train_size": 276, "validation_size": 64, "test_size": 60}
    data = {"id": {"source": "numpy", "path": str(path)}, "ood_validation": ["inversion"], **sizes}
    config = load(write_study(tmp_path / "one.toml", study={"trials": 2}, data=data))
    expected = _trials(tmp_path / "clean", config)
    test = load_test_data(config.data).test.values.numpy()
    rows = [int(np.flatnonzero((array == row).all((1, 2)))[0]) for row in test]
    assert len({*rows}) == 60
    array[rows] = 255 - array[rows]
    np.save(path, array)
    assert _trials(tmp_path / "poisoned", config) == expected
    # The rest are examples of training and validation: one of them is enough to move it.
    array[next(i for i in range(400) if i not in rows)] ^= 255
    np.save(path, array)
    assert _trials(tmp_path / "moved", config) != expected
