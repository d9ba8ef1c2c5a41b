from __future__ import annotations

import itertools
import json
import logging

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.foreign.callable_trainer import CallableTrainer
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task

_names = (f"trainer_of_a_test_{number}" for number in itertools.count())


class StoppedError(Exception):
    """As a worker raises it."""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module in the current folder; the name of its function `train`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")

    def call(source, function="train"):
        name = next(_names)
        (tmp_path / f"{name}.py").write_text(source)
        return f"{name}:{function}"

    return call


def study(function, **early_stopping):
    return StudyConfig.model_validate(
        {
            "study": {"objectives": ["max:good"]},
            "search_space": {"budget": 12},
            "training": {"epochs": 3},
            "early_stopping": early_stopping,
            "trainer": {"kind": "callable", "function": function},
        }
    )


@pytest.fixture
def run(write, tmp_path):
    """Run the function of a module for 6-4-2 with seed 7."""

    def call(source, hooks=None, **early_stopping):
        trainer = CallableTrainer(study(write(source), **early_stopping))
        task = Task(Allocation((6, 4, 2)), 7, tmp_path / "trials" / "3")
        [(index, found)] = trainer.run([task], hooks or Hooks())
        assert index == 0
        return found

    return call


def test_it_gets_what_it_trains_and_gives_metrics(run, tmp_path):
    found = run(
        """
def train(allocation, config, seed, report):
    (report.folder / "model.txt").write_text(str(allocation))
    report(0.5, loss=2)
    return {"good": allocation.dims[0], "seed": seed, "epochs": config.training.epochs}
"""
    )
    assert isinstance(found, Result)
    assert found.metrics == {"good": 6.0, "seed": 7.0, "epochs": 3.0}
    folder = tmp_path / "trials" / "3"
    assert (folder / "model.txt").read_text() == "6-4-2"
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == found.metrics
    assert found.provenance["trainer"].startswith("trainer_of_a_test_")
    assert found.provenance["torch"]


def test_reports_reach_progress_and_rungs(run):
    shown, heard = [], []
    hooks = Hooks(
        progress=lambda index, found: shown.append(dict(found)),
        rungs=(0.25, 0.7),
        rung=lambda index, rung, metrics: heard.append((rung, dict(metrics))),
    )
    source = """
def train(allocation, config, seed, report):
    for epoch in range(1, 5):
        report(epoch / 4, {"good": epoch}, loss=10 - epoch)
    return {"good": 9}
"""
    run(source, hooks)
    assert heard == [(0.25, {"good": 1.0}), (0.7, {"good": 3.0})]
    assert shown[0] == {"progress": 0.25, "loss": 9.0}
    assert len(shown) == 4


SWALLOWING = """
def train(allocation, config, seed, report):
    try:
        report(0.5, {"good": 1})
    except Exception:
        pass
    return {"good": 1}
"""
PASSING = """
def train(allocation, config, seed, report):
    report(0.5, {"good": 1})
    return {"good": 1}
"""


@pytest.mark.parametrize("source", [PASSING, SWALLOWING])
def test_a_rung_ends_the_training_even_of_those_that_swallow_it(run, source):
    def rung(*_):
        raise PrunedError("not among the best")

    found = run(source, Hooks(rungs=(0.25,), rung=rung))
    assert isinstance(found, PrunedError)


@pytest.mark.parametrize("source", [PASSING, SWALLOWING])
def test_a_stop_ends_the_training_even_of_those_that_swallow_it(run, source):
    calls = itertools.count()

    def check():
        # The first one is that of the trainer itself.
        if next(calls) == 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(source, Hooks(check=check))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no\\nluck')", "ValueError: no\nluck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("return None", "what trainer_of_a_test_"),
        ("return {'god': 1}", "what trainer_of_a_test_"),
        ("return {'good': float('nan')}", "what trainer_of_a_test_"),
        ("report(2)", "progress is 2.0; allowed: from 0 to 1"),
        ("report(0.5, {'god': 1})", "no good, which is an objective; found god"),
        ("report(0.5, loss='high')", "loss is 'high'; allowed: a number"),
    ],
)
def test_what_goes_wrong_is_the_reason(run, caplog, body, reason):
    caplog.set_level(logging.ERROR)
    found = run(f"def train(allocation, config, seed, report):\n    {body}\n")
    assert isinstance(found, RuntimeError)
    assert str(found).startswith(reason)
    assert ("Traceback" in caplog.text) == ("return" not in body)


def test_one_that_fails_does_not_end_the_others(write, tmp_path):
    source = """
def train(allocation, config, seed, report):
    assert allocation.dims[0] == 6
    return {"good": 1}
"""
    tasks = [
        Task(Allocation(dims), 0, tmp_path / str(place))
        for place, dims in enumerate([(4, 4, 4), (6, 4, 2), (8, 2, 2)])
    ]
    found = dict(CallableTrainer(study(write(source))).run(tasks, Hooks()))
    assert str(found[0]) == str(found[2]) == "AssertionError: "
    assert found[1].metrics == {"good": 1.0}


GOOD = "def train(allocation, config, seed, report):\n    pass\n"


@pytest.mark.parametrize(
    ("source", "function", "message"),
    [
        (GOOD, "trane", r" has no trane$"),
        ("train = 3", "train", r"train is int; allowed: a function$"),
        ("def train(a, b, c): pass", "train", r"it takes \(a, b, c\); allowed: \(allocation, con"),
        ("def train(a, b, c, d, e): pass", "train", r"it takes \(a, b, c, d, e\); allowed: "),
        ("def train(): pass", "train", r"it takes \(\); allowed: "),
        ("def f(:", "train", r"its module cannot be imported: SyntaxError: .*_\d+\.py:1\)$"),
        ("\n1 / 0", "train", r"cannot be imported: ZeroDivisionError: .*_\d+\.py:2\)$"),
        ("import sys; sys.exit(4)", "train", r"cannot be imported: SystemExit: 4 \(.*py:1\)$"),
        ("import no_such_module_x", "train", r"ModuleNotFoundError: No module named .*py:1\)$"),
    ],
)
def test_functions_that_cannot_be_called(write, source, function, message):
    with pytest.raises(InputError, match=message) as caught:
        CallableTrainer(study(write(source, function)))
    assert str(caught.value).startswith("trainer.function: found 'trainer_of_a_test_")
    assert str(caught.value).isprintable()


def test_no_such_module(write, tmp_path):
    write("")
    message = rf"no module no_such_x; allowed: one that is installed, or lies in {tmp_path}"
    with pytest.raises(InputError, match=message):
        CallableTrainer(study("no_such_x:train"))
    with pytest.raises(InputError, match=r"no module json\.no_such_x; allowed: "):
        CallableTrainer(study("json.no_such_x:train"))


@pytest.mark.parametrize(
    "source",
    [
        "def train(*everything): pass",
        "def train(allocation, config, seed, report, more=3): pass",
        "class Train:\n    def __call__(self, a, b, c, d): pass\ntrain = Train()",
        "import functools\ntrain = functools.partial(lambda e, a, b, c, d: None, 1)",
    ],
)
def test_all_that_takes_four_arguments_is_a_function(write, source):
    CallableTrainer(study(write(source)))


def test_a_method_of_a_class_in_a_package(write, tmp_path):
    write("")
    package = tmp_path / "package_of_a_test"
    package.mkdir()
    (package / "inner.py").write_text(
        "class Trainer:\n    @staticmethod\n    def train(a, b, c, d):\n"
        "        return {'good': 5}\n"
    )
    trainer = CallableTrainer(study("package_of_a_test.inner:Trainer.train"))
    [(_, found)] = trainer.run([Task(Allocation((6, 4, 2)), 0, tmp_path / "t")], Hooks())
    assert found.metrics == {"good": 5.0}
