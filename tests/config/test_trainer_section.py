from __future__ import annotations

import pytest
import tomli_w

from allocsearch.config import load

COMMAND = ["./train", "{allocation}", "{out}"]


@pytest.fixture
def write(tmp_path):
    """A study file with a trainer, and without data."""

    def call(trainer, **sections):
        content = {
            "study": {"objectives": ["max:anything"]},
            "search_space": {"budget": 12},
            "trainer": trainer,
        }
        for name, keys in sections.items():
            content[name] = {**content.get(name, {}), **keys}
        path = tmp_path / "study.toml"
        path.write_text(tomli_w.dumps(content))
        return path

    return call


@pytest.mark.parametrize(
    "trainer",
    [
        {"kind": "callable", "function": "a.b:c"},
        {"kind": "callable", "function": "a:B.c"},
        {"kind": "command", "command": COMMAND},
        {
            "kind": "command",
            "command": ["{python}", "t.py", "{{x}}", "{out}", "{allocation_json}"],
        },
        {
            "kind": "command",
            "command": ["t", "{hvae_oodd_config}", "{seed}", "{out}", "{reports}"],
        },
        {"kind": "command", "command": COMMAND, "time_limit": 60},
    ],
)
def test_a_foreign_trainer_needs_no_data_and_any_metric_is_an_objective(write, trainer, tmp_path):
    config = load(write(trainer))
    assert config.data is None
    assert config.ood_validation == ()
    assert config.trainer.foreign
    (tmp_path / "again.toml").write_text(config.to_toml())
    assert load(tmp_path / "again.toml") == config


def test_a_study_without_the_section_trains_our_own(study):
    assert load(study).trainer.kind == "hvae"


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({}, "data: missing; it has no default"),
        ({"kind": "comand"}, "trainer.kind: found 'comand'. Did you mean command? Allowed: hvae,"),
        (
            {"comand": COMMAND},
            "trainer.comand: unknown key. Did you mean trainer.command? Allowed",
        ),
        ({"kind": "callable"}, "trainer.function: missing; kind 'callable' needs module:function"),
        (
            {"kind": "callable", "function": "module.function"},
            "trainer.function: found 'module.function'; allowed: module:function, as training:tr",
        ),
        ({"kind": "callable", "function": "a-b:c"}, "trainer.function: found 'a-b:c'; allowed: "),
        ({"kind": "callable", "function": "a:c()"}, "trainer.function: found 'a:c()'; allowed: "),
        ({"kind": "callable", "function": 3}, "trainer.function: found 3; "),
        (
            {"function": "a:b"},
            "trainer.function: allowed only with kind 'callable', and it is 'hvae'",
        ),
        ({"command": COMMAND}, "trainer.command: allowed only with kind 'command', and it is 'hv"),
        (
            {"kind": "callable", "function": "a:b", "command": COMMAND},
            "trainer.command: allowed only with kind 'command', and it is 'callable'",
        ),
        (
            {"kind": "callable", "function": "a:b", "time_limit": 3},
            "trainer.time_limit: allowed only with kind 'command', and it is 'callable'",
        ),
        ({"kind": "command"}, "trainer.command: found []; allowed: a program and its arguments"),
        ({"kind": "command", "command": []}, "trainer.command: found []; allowed: a program and"),
        ({"kind": "command", "command": [""]}, "trainer.command: found ['']; allowed: a program"),
        (
            {"kind": "command", "command": "./train {allocation} {out}"},
            "trainer.command: found the text './train {allocation} {out}'; allowed: a list of ar",
        ),
        ({"kind": "command", "command": ["a", 3]}, "trainer.command.1: found 3; "),
        (
            {"kind": "command", "command": [*COMMAND, "{sed}"]},
            "trainer.command: unknown placeholder {sed}. Did you mean seed? Allowed: allocation,",
        ),
        (
            {"kind": "command", "command": ["./train", "{allocation}"]},
            "trainer.command: no {out} in it, the file for the program's metrics",
        ),
        (
            {"kind": "command", "command": ["./train", "{out}", "{{allocation}}"]},
            "trainer.command: nothing in it says what to train; allowed: {allocation} or ",
        ),
        (
            {"kind": "command", "command": [*COMMAND, "a\0b"]},
            "trainer.command: an argument holds a NUL character",
        ),
        (
            {"kind": "command", "command": COMMAND, "time_limit": 0},
            "trainer.time_limit: found 0; input should be greater than 0",
        ),
    ],
)
def test_mistakes_are_one_line(write, trainer, message, message_of):
    path = write(trainer)
    assert message_of(path).startswith(f"{path}: {message}")


def test_the_theory_predicts_from_data(write, message_of):
    path = write({"kind": "command", "command": COMMAND}, study={"warm_start": "theory"})
    assert "study.warm_start: found 'theory'; allowed without data: 'none'" in message_of(path)
    path = write(
        {"kind": "command", "command": COMMAND},
        study={"warm_start": "theory"},
        data={"id": "digits"},
    )
    assert load(path).study.warm_start == "theory"


def test_the_lists_of_the_model_matter_where_the_command_takes_them(write, message_of):
    model = {"blocks": "conv", "kernels": [3, 5]}
    assert load(write({"kind": "command", "command": COMMAND}, model=model)).data is None
    path = write({"kind": "command", "command": [*COMMAND, "{hvae_oodd_config}"]}, model=model)
    assert "model.kernels: found 2 values for 3 layers" in message_of(path)
    command = [*COMMAND, "{hvae_oodd_config}"]
    path = write({"kind": "command", "command": command}, model={"blocks": "conv1d"})
    assert "model.blocks: found 'conv1d'; allowed with {hvae_oodd_config}: " in message_of(path)


def test_our_own_populations_mean_nothing_to_others(write):
    path = write(
        {"kind": "command", "command": COMMAND},
        training={"population": 4},
        early_stopping={"mode": "auto"},
    )
    assert load(path).early_stopping.mode == "auto"
