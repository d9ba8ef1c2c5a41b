from __future__ import annotations

import dataclasses
import shlex

import pytest
import typer

from allocsearch.cli import app
from allocsearch.report.environment import difference_lines, settings
from allocsearch.report.page import render_page
from allocsearch.report.reproduction import reproduction_steps

KNOWN = {"python": "3.12.1", "torch": "2.6.0", "processor": "A <b>CPU</b>", "data": "abc"}


def made_in(record, *changes):
    """The study whose trials have the environment, the last ones with changes."""
    first = len(record.trials) - len(changes)
    trials = (
        dataclasses.replace(
            trial, provenance={**KNOWN, **(changes[i - first] if i >= first else {})}
        )
        for i, trial in enumerate(record.trials)
    )
    return dataclasses.replace(record, trials=tuple(trials))


@pytest.fixture
def three(study_of):
    return study_of([(1.0, 0.9), (2.0, 0.5), (3.0, 0.1)])


def test_one_environment_is_shown_once(three):
    record = made_in(three)
    found = settings(record)
    assert [(each.key, each.values) for each in found] == [
        (key, ((value, (0, 1, 2)),)) for key, value in KNOWN.items()
    ]
    assert difference_lines(found) == ()
    page = render_page(record)
    assert 'id="environment"' in page
    assert "A &lt;b&gt;CPU&lt;/b&gt;</td>" in page
    assert "(trials 0-2)" not in page


def test_differences_are_shown_with_their_trials(three):
    record = made_in(three, {"torch": "2.7.0", "processor": "B"})
    found = settings(record)
    assert [each.key for each in found if each.differs] == ["torch", "processor"]
    [line] = difference_lines(found)
    assert line.startswith("Trials differ in torch, processor. ")
    page = render_page(record)
    assert '2.6.0 <span class="soft">(trials 0-1)</span>' in page
    assert '2.7.0 <span class="soft">(trial 2)</span>' in page
    assert line in page


def test_other_data_is_no_small_matter(three):
    lines = difference_lines(settings(made_in(three, {"data": "def"})))
    assert lines == (
        "The trials were trained on data that differ: their values cannot be compared.",
    )


def test_trials_of_before_it_was_recorded(three):
    assert "No complete trial has recorded where it was trained." in render_page(three)


def commands(record):
    steps = reproduction_steps(record, settings(record))
    return [shlex.split(line) for step in steps for line in step.commands]


def test_commands_are_such_as_the_program_takes(three):
    config = three.config.model_copy(
        update={
            "study": three.config.study.model_copy(
                update={"storage": "postgresql+psycopg://a@b/c", "artifacts": "s3://files"}
            )
        }
    )
    other = dataclasses.replace(made_in(three), config=config)
    program = typer.main.get_command(app)
    for record in (made_in(three), other):
        pip, *own = commands(record)
        assert pip == ["pip", "install", "torch==2.6.0"]
        assert [name for _, name, *_ in own] == ["run", "export", "train"]
        for _, name, *arguments in own:
            # It raises for an option or argument that the command does not take.
            program.commands[name].make_context(name, arguments)
    run = commands(other)[1]
    assert run[run.index("--storage") + 1] == "sqlite:///given-repeated.db"
    assert run[run.index("--artifacts") + 1] == "given-repeated-files"


def test_packages_are_installed_beside_the_same_program(three):
    record = made_in(three)
    [step, *_] = reproduction_steps(record, settings(record))
    assert step.purpose == "The same packages in Python 3.12.1"
    more = {"torch": "2.6.0+cpu", "numpy": "2.4.6", "allocsearch": "0.1.0", "commit": "abc-dirty"}
    record = made_in(three, *[more] * 3)
    [step, *_] = reproduction_steps(record, settings(record))
    assert step.purpose.endswith("3.12.1, beside allocsearch 0.1.0 of commit abc-dirty")
    # The build is not on the index that pip asks.
    assert step.commands == ("pip install torch==2.6.0 numpy==2.4.6",)
    pretrained = {**more, "pytorch-metric-learning": "2.9.0"}
    record = made_in(three, *[pretrained] * 3)
    [step, *_] = reproduction_steps(record, settings(record))
    assert step.commands[0].endswith(" numpy==2.4.6 pytorch-metric-learning==2.9.0")


def test_what_several_workers_change_is_said(three):
    study = three.config.study.model_copy(update={"workers": 2})
    several = dataclasses.replace(three, config=three.config.model_copy(update={"study": study}))
    [step, *_] = reproduction_steps(several, settings(several))
    assert "with --workers 1 it does not" in step.purpose
    [step, *_] = reproduction_steps(three, settings(three))
    assert step.purpose == "The whole study, into another folder"
