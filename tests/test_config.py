from __future__ import annotations

import errno
import json
import os
import random
import string
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch import config
from allocsearch.allocation import Allocation
from allocsearch.config import InputError, Objective, StudyConfig, format_yaml, load

ROOT = Path(__file__).parents[1]
fixed = settings(derandomize=True, deadline=None, max_examples=150)

MINIMAL = """
[search_space]
budget = 24

[data]
id = "digits"
ood_validation = ["inversion"]
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(MINIMAL)
    return path


def message_of(path, overrides=()):
    """The one line that a study is refused with."""
    with pytest.raises(InputError) as caught:
        load(path, overrides)
    text = str(caught.value)
    assert text.isprintable()
    return text


def test_every_field_but_data_and_budget_has_a_default(study):
    loaded = load(study)
    assert loaded.study.objectives == ("max:retention", "min:attenuation", "max:auroc")
    assert loaded.search_space.budget == 24
    assert loaded.data.id.source == "digits"
    assert loaded.data.ood_validation[0].title == "inversion"
    assert set(tomllib.loads(loaded.to_toml())) == set(StudyConfig.model_fields)


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        # study
        ("study.name='a b'", ["study.name: found 'a b'", "pattern"]),
        ("study.name=5", ["study.name: found 5", "valid string"]),
        ("study.seed=-1", ["study.seed: found -1", "greater than or equal to 0"]),
        ("study.trials=0", ["study.trials: found 0", "greater than or equal to 1"]),
        ("study.trials=2.5", ["study.trials: found 2.5", "valid integer"]),
        ("study.trials=true", ["study.trials: found True", "valid integer"]),
        ("study.objectives=[]", ["study.objectives: found []", "at least 1 item"]),
        ("study.objectives=[5]", ["study.objectives.0: found 5", "max:METRIC or min:METRIC"]),
        ("study.objectives=auroc", ["study.objectives.0: found 'auroc'", "max:METRIC"]),
        (
            "study.objectives=['max:retenton']",
            ["study.objectives: unknown objective 'retenton'", "Did you mean retention?", "elbo"],
        ),
        (
            "study.sampler=tppe",
            ["study.sampler: found 'tppe'", "Did you mean tpe?", "tpe, nsga2, gp, random, grid"],
        ),
        ("study.sampler=[1]", ["study.sampler: found [1]", "tpe, nsga2, gp, random, grid"]),
        ("study.workers=0", ["study.workers: found 0", "greater than or equal to 1"]),
        ("study.retries=-1", ["study.retries: found -1", "greater than or equal to 0"]),
        ("study.storage=3", ["study.storage: found 3", "valid string"]),
        # search_space
        ("search_space.kind=simplx", ["search_space.kind", "Did you mean simplex?", "table"]),
        ("search_space.budget=0", ["search_space.budget: found 0", "greater than or equal to 1"]),
        ("search_space.budget=2", ["search_space.budget: budget 2", "3 layers * 1 dims = 3"]),
        ("search_space.min_dim=9", ["search_space.budget: budget 24", "3 layers * 9 dims = 27"]),
        ("search_space.step=7", ["budget 24 is not a multiple of step 7", "21 or 28"]),
        ("search_space.layers=0", ["search_space.layers.0: found 0", "equal to 1"]),
        ("search_space.layers=[]", ["search_space.layers: found []", "at least 1 item"]),
        ("search_space.layers=[2, 2]", ["search_space.layers: found [2, 2]", "once"]),
        ("search_space.max_dim=5", ["search_space.max_dim", "at most 15", "budget 24"]),
        ("search_space.max_dim=[20, 20]", ["search_space.max_dim", "2 caps for 3 layers"]),
        ("search_space.ratio_range=[2, 1]", ["search_space.ratio_range", "0 < low < high"]),
        ("search_space.ratio_range=[0, 1]", ["search_space.ratio_range", "0 < low < high"]),
        ("search_space.ratio_range=[1, inf]", ["search_space.ratio_range.1: found inf", "finite"]),
        ("search_space.allocations=['12-12']", ["search_space.allocations", "only a table"]),
        ("search_space.kind=table", ["search_space.allocations", "at least one", "64-18-6"]),
        # data
        ("data.id=digitz", ["data.id.source: found 'digitz'", "Did you mean digits?", "MNIST"]),
        ("data.id=5", ["data.id: found 5", "source, name, path"]),
        ("data.id={source='idx'}", ["data.id.path: source 'idx' needs path"]),
        ("data.id={source='digits', path='x'}", ["data.id.path: source 'digits' takes no path"]),
        ("data.id={source='digits', invert=1}", ["data.id.invert: found 1", "valid boolean"]),
        ("data.id={source='digits', split='all'}", ["data.id.split: found 'all'", "train, test"]),
        ("data.id={source='digits', classes=[-1]}", ["data.id.classes.0: found -1", "equal to 0"]),
        ("data.ood_validation=['MNISTT']", ["unknown data set 'MNISTT'", "Did you mean MNIST?"]),
        ("data.ood_validation=['rotation','rotation']", ["'rotation' stands twice", "`name`"]),
        (
            "data.ood_validation=[{shift='rotation', name='validation'}]",
            ["data.ood_validation: name 'validation'", "choose another"],
        ),
        ("data.ood_test=[{source='MNIST', name='a b'}]", ["data.ood_test: name 'a b'", "letters"]),
        (
            "data.ood_validation=[{shift='rotation', strength=2}]",
            ["data.ood_validation.0.strength: found 2", "less than or equal to 1"],
        ),
        (
            "data.ood_validation=[{shift='rotation', strenght=1}]",
            ["data.ood_validation.0.strenght: unknown key", "Did you mean", "shift, name, str"],
        ),
        ("data.ood_validation=[]", ["study.objectives", "AUROC needs a set in data.ood_validat"]),
        ("data.train_size=1", ["data.train_size: found 1", "greater than or equal to 2"]),
        ("data.validation_size=1", ["data.validation_size: found 1"]),
        ("data.test_size=1", ["data.test_size: found 1"]),
        ("data.ood_size=1", ["data.ood_size: found 1"]),
        ("data.seed=-1", ["data.seed: found -1"]),
        ("data.download='no'", ["data.download: found 'no'", "valid boolean"]),
        # model
        ("model.inference=topdown", ["model.inference: found 'topdown'", "Allowed: bottom_up"]),
        ("model.blocks=convv", ["model.blocks: found 'convv'", "dense"]),
        ("model.hidden=0", ["model.hidden: found 0"]),
        ("model.depth=0", ["model.depth: found 0"]),
        ("model.skip=1", ["model.skip: found 1", "valid boolean"]),
        ("model.activation=relo", ["model.activation", "Did you mean relu?", "silu"]),
        ("model.likelihood=bernouli", ["model.likelihood", "Did you mean bernoulli?"]),
        # training
        ("training.epochs=-5", ["training.epochs: found -5", "greater than or equal to 1"]),
        ("training.epochs=ten", ["training.epochs: found 'ten'", "valid integer"]),
        ("training.epoch=5", ["training.epoch: unknown key", "Did you mean training.epochs?"]),
        ("training.batch_size=1", ["training.batch_size: found 1"]),
        ("training.learning_rate=0", ["training.learning_rate: found 0", "greater than 0"]),
        ("training.learning_rate=nan", ["training.learning_rate: found nan", "finite"]),
        ("training.kl_warmup=1.1", ["training.kl_warmup: found 1.1", "less than or equal to 1"]),
        ("training.free_nats=-1", ["training.free_nats: found -1"]),
        ("training.free_nats_hold=2", ["training.free_nats_hold: found 2"]),
        ("training.free_nats_end=0.1", ["training.free_nats_end: 0.1 is before", "hold 0.42"]),
        ("training.gradient_clip=0", ["training.gradient_clip: found 0"]),
        ("training.threads=0", ["training.threads: found 0"]),
        # evaluation
        ("evaluation.score=llr_9", ["evaluation.score: unknown score 'llr_9'", "llr_1, llr_2"]),
        ("evaluation.samples=1", ["evaluation.samples: found 1"]),
        ("evaluation.batch_size=0", ["evaluation.batch_size: found 0"]),
        ("evaluation.score_samples=0", ["evaluation.score_samples: found 0"]),
        ("evaluation.keep=some", ["evaluation.keep: found 'some'", "none, scores, models, all"]),
        # unknown sections
        ("trainings.epochs=5", ["trainings: unknown key", "Did you mean training?", "evaluation"]),
        ("search_space.bugdet=5", ["search_space.bugdet: unknown key", "search_space.budget?"]),
        ("data.Source=5", ["data.Source: unknown key", "ood_validation"]),
    ],
)
def test_a_mistake_names_file_key_found_and_allowed(study, override, fragments):
    message = message_of(study, [override])
    assert message.startswith(f"{study}: ")
    for fragment in fragments:
        assert fragment in message


def fields(section, prefix=()):
    """The dotted name of every field of the sections that have a fixed place."""
    sections = [] if prefix else [f.annotation for f in section.model_fields.values()]
    for name, field in section.model_fields.items():
        if field.annotation in sections:
            yield from fields(field.annotation, (name,))
        else:
            yield ".".join((*prefix, name))


def wrong_type(field):
    """A value that no field takes."""
    return f"{field}={{ wrong = [1] }}"


@pytest.mark.parametrize("field", sorted(fields(StudyConfig)))
def test_every_field_refuses_a_wrong_type(study, field):
    message = message_of(study, [wrong_type(field)])
    assert message.startswith(f"{study}: {field}")
    assert "found" in message or "unknown key" in message


@pytest.mark.parametrize("section", StudyConfig.model_fields)
def test_a_section_that_is_none_names_its_keys(tmp_path, section):
    path = tmp_path / "study.toml"
    content = {"search_space": {"budget": 24}, "data": {"id": "digits"}, section: 5}
    path.write_text(tomli_w.dumps(content))
    message = message_of(path)
    assert message.startswith(f"{path}: {section}: found 5; allowed: a section with ")
    assert next(iter(StudyConfig.model_fields[section].annotation.model_fields)) in message


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("", "search_space"),
        ("[search_space]\n[data]\nid = 'digits'", "search_space.budget"),
        ("[search_space]\nbudget = 24", "data"),
        ("[search_space]\nbudget = 24\n[data]", "data.id"),
    ],
)
def test_what_has_no_default_is_asked_for(tmp_path, content, key):
    path = tmp_path / "study.toml"
    path.write_text(content)
    assert message_of(path).startswith(f"{path}: {key}: missing; it has no default")


@pytest.mark.parametrize(
    ("space", "fragment"),
    [
        ("allocations = ['12-12', '12-x']", "not an allocation: '12-x'"),
        ("allocations = ['12-12', '8-8']", "8-8 sums to 16, not to the budget 24"),
        ("allocations = ['12-12', '12-12']", "stands twice"),
        ("allocations = ['12-12']\nlayers = 3", "12-12 does not have 3 layers"),
    ],
)
def test_a_table_is_checked(tmp_path, space, fragment):
    path = tmp_path / "study.toml"
    path.write_text(MINIMAL.replace("budget = 24", f"budget = 24\nkind = 'table'\n{space}"))
    message = message_of(path)
    assert message.startswith(f"{path}: search_space.allocations: ")
    assert fragment in message


def test_a_table_states_its_numbers_of_layers(study):
    overrides = ["search_space.kind=table", "search_space.allocations=['12-12', '8-8-4-4']"]
    loaded = load(study, overrides)
    assert loaded.search_space.layers == loaded.search_space.layer_counts == (2, 4)
    # The scores of the shallowest model are those that every trial has.
    assert "llr_1" in message_of(study, [*overrides, "evaluation.score=llr_2"])


def test_lattices_of_a_searched_number_of_layers(study):
    overrides = ["search_space.layers=[4, 2]", "search_space.step=2", "search_space.max_dim=12"]
    space = load(study, overrides).search_space
    assert space.layer_counts == (2, 4)
    assert list(space.lattices()) == [2, 4]
    assert list(space.lattices()[2]) == [Allocation((12, 12))]
    assert space.lattices()[4].max_dim == (12,) * 4


@pytest.mark.parametrize("text", ["auroc", "maximize:auroc", "max:", "max: auroc", "max:a b", ""])
def test_an_objective_has_one_form(text):
    with pytest.raises(ValueError, match="max:METRIC or min:METRIC"):
        Objective.parse(text)


def test_an_objective_reads_and_writes_itself():
    objective = Objective.parse("min:auroc.MNIST.llr_1")
    assert (objective.metric, objective.direction) == ("auroc.MNIST.llr_1", "minimize")
    assert str(objective) == "min:auroc.MNIST.llr_1"


def test_metrics_and_scores_by_name(study):
    loaded = load(study)
    assert config.score_names(1) == ("negative_elbo", "kl_1")
    assert len(set(config.score_names(4))) == len(config.score_names(4)) == 1 + 3 + 3 + 4
    names = config.metric_names(loaded)
    assert len(set(names)) == len(names)
    assert "auroc.inversion.llr_2" in names
    assert "auroc.inversion.llr_3" not in names
    for name in names:
        load(study, [f"study.objectives=['max:{name}']"])


# Files


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_yaml_equals_toml(tmp_path, ending):
    for path in sorted((ROOT / "studies").glob("*.toml")):
        content = tomllib.loads(path.read_text())
        space = content["search_space"]
        if "file" in space:
            space["file"] = str((path.parent / space["file"]).resolve())
        copy = tmp_path / f"{path.stem}.{ending}"
        copy.write_text(format_yaml(content))
        assert load(copy) == load(path)


def test_yaml_reads_numbers_and_empty_sections_as_a_user_means_them(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "search_space: {budget: 24}\n"
        "data: {id: digits, ood_validation: inversion}\n"
        "training:\n  learning_rate: 1e-3\n  gradient_clip: 2E+2\n"
        "model:\n  # hidden: 128\n"
    )
    loaded = load(path)
    assert loaded.training.learning_rate == 1e-3
    assert loaded.training.gradient_clip == 200
    assert loaded.model == config.ModelSection()


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes(MINIMAL.encode("utf-8-sig"))
    assert load(path).search_space.budget == 24


SHIPPED = sorted((ROOT / "studies").glob("*.*ml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_every_shipped_study_loads(path, tmp_path):
    loaded = load(path)
    resolved = tmp_path / "study.toml"
    resolved.write_text(loaded.to_toml())
    assert load(resolved) == loaded


def test_there_are_shipped_studies():
    assert "quickstart.toml" in [path.name for path in SHIPPED]


SPACES = sorted((ROOT / "search_spaces").glob("*.*ml"))


@pytest.mark.parametrize("path", SPACES, ids=[path.name for path in SPACES])
def test_every_shipped_search_space_serves_a_study(study, path):
    overrides = [f"search_space.file={json.dumps(str(path))}"]
    content = tomllib.loads(path.read_text())
    if content["kind"] == "table":
        budget = Allocation.parse(content["allocations"][0]).budget
        overrides.append(f"search_space.budget={budget}")
    assert load(study, overrides).search_space.kind == content["kind"]


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("missing.toml", None, "no such file"),
        ("missing", None, "no such file"),
        ("study.json", b"{}", "found .json; allowed: a readable .toml, .yaml or .yml file"),
        ("study", b"", "found no ending; allowed: a readable .toml, .yaml or .yml file"),
        ("study.toml", b"\x00\xff\xfe\x80", "not text (UTF-8)"),
        ("study.yaml", b"\x00\x01\x02", "not valid YAML"),
        ("study.toml", b"[search_space", "not valid TOML"),
        ("study.toml", b"a = 1\na = 2", "not valid TOML"),
        ("study.toml", b"a = " + b"9" * 5_000, "not valid TOML"),
        ("study.yaml", b"a: " + b"9" * 5_000, "not valid YAML"),
        ("study.yaml", b"a: [1, 2", "not valid YAML"),
        ("study.yaml", b"? [1]\n: 2", "not valid YAML"),
        ("study.yaml", b"--- a\n--- b", "not valid YAML"),
        ("study.yaml", b"", "found None; allowed: keys with values"),
        ("study.yaml", b"- 1", "found [1]; allowed: keys with values"),
        ("study.yaml", b"1: 2", "found {1: 2}; allowed: keys with values"),
        (
            "study.yaml",
            b"search_space: {budget: 8}\ndata: {id: digits}\ntraining: {1: 2}",
            "training.1: found 1; keys should be strings",
        ),
        ("study.yaml", b"a: &a [*a]", "a: unknown key"),
    ],
)
def test_a_file_that_is_no_study(tmp_path, name, content, fragment):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    message = message_of(path)
    assert message.startswith(f"{path}: ")
    assert fragment in message


@pytest.mark.parametrize("name", ["study.toml", "studies"])
def test_a_directory_is_no_study(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    assert message_of(path).startswith(f"{path}: Is a directory; allowed: ")


def test_a_file_without_permission(study, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # The superuser may read every file: its mode would not do.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert message_of(study).startswith(f"{study}: Permission denied; allowed: a readable")


def test_a_name_with_line_ends_stays_on_one_line(tmp_path):
    message = message_of(tmp_path / "a\nb\x1b[2J\u2028.toml")
    assert r"a\nb\x1b[2J\u2028.toml: no such file" in message


@pytest.mark.parametrize("name", ["a\0b.toml", "x" * 300 + ".toml"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    assert "allowed: a readable" in message_of(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/object:os.PathLike {}",
        "!!python/name:os.system",
        "!!python/module:os",
        "!unknown 1",
    ],
)
def test_yaml_tags_build_no_objects(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_text(f"study: {content}\n")
    assert "not valid YAML: could not determine a constructor for the tag" in message_of(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("study.toml", "a = " + "[" * 20_000 + "]" * 20_000),
        ("study.toml", ".".join("a" * 2_000) + " = 1"),
        ("study.toml", "[training]\nepochs." + ".".join("a" * 2_000) + " = 1"),
        ("study.yaml", "a: " + "[" * 1_000 + "]" * 1_000),
        ("study.yaml", "a: " + "{a: " * 1_000 + "}" * 1_000),
    ],
)
def test_deep_nesting_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert len(message_of(path)) < 1_000


def test_aliases_that_multiply_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40)]
    path = tmp_path / "study.yaml"
    path.write_text("\n".join([*lines, "training: {epochs: *a39}", "data: {id: *a39}"]))
    assert len(message_of(path)) < 1_000
    path.write_text("x: &x\n" + "\n".join(lines) + "\ntraining: {epochs: *a39}\n")
    assert len(message_of(path)) < 1_000


@pytest.mark.parametrize("value", ["0x" + "f" * 10_000, "9" * 10_000, "1e999", "[" * 10_000])
@pytest.mark.parametrize(
    "field", ["training.epochs", "search_space.budget", "study.sampler", "study.objectives"]
)
def test_huge_values_are_refused(study, field, value):
    message = message_of(study, [f"{field}={value}"])
    assert message.startswith(f"{study}: {field}")
    assert len(message) < 1_000


# Overrides


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.epochs=5", "training", "epochs", 5),
        (" training.epochs = 5 ", "training", "epochs", 5),
        ("training.learning_rate=1e-2", "training", "learning_rate", 0.01),
        ("training.learning_rate=1", "training", "learning_rate", 1.0),
        ("study.name=night", "study", "name", "night"),
        ('study.name="night"', "study", "name", "night"),
        ("study.storage=sqlite:///a=b.db", "study", "storage", "sqlite:///a=b.db"),
        ("search_space.layers=[2, 4]", "search_space", "layers", (2, 4)),
        ("search_space.layers=4", "search_space", "layers", (4,)),
        ("study.objectives=['max:elbo']", "study", "objectives", ("max:elbo",)),
        ("study.objectives=max:elbo", "study", "objectives", ("max:elbo",)),
        ("model.skip=false", "model", "skip", False),
    ],
)
def test_overrides(study, override, section, key, value):
    assert getattr(getattr(load(study, [override]), section), key) == value


def test_the_last_override_wins_and_the_file_is_left_alone(study):
    before = study.read_bytes()
    assert load(study, ["study.trials=3", "study.trials=4"]).study.trials == 4
    assert study.read_bytes() == before


def test_an_override_reaches_into_a_table(study):
    loaded = load(study, ["data.id={source='MNIST'}", "data.id.split=train"])
    assert (loaded.data.id.source, loaded.data.id.split) == ("MNIST", "train")


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("training.epochs", "allowed: section.key=value"),
        ("training=5", "allowed: section.key=value"),
        ("=5", "allowed: section.key=value"),
        (".epochs=5", "allowed: section.key=value"),
        ("training.=5", "allowed: section.key=value"),
        ("", "allowed: section.key=value"),
        ("data.id.invert=true", "id is not a section"),
        ("data.ood_validation.0=rotation", "ood_validation is not a section"),
    ],
)
def test_an_override_of_another_form(study, override, fragment):
    message = message_of(study, [override])
    assert message.startswith(f"--set {override}: ")
    assert fragment in message


def test_a_value_that_goes_on_as_another_key_is_no_value(study):
    assert r"found '1\nstudy = 2'" in message_of(study, ["training.epochs=1\nstudy = 2"])


# A search space in its own file


@pytest.fixture
def with_space(tmp_path):
    """Writes a study in one folder that takes its space from a file in another."""

    def write(space, own="", name="space.toml"):
        (tmp_path / "studies").mkdir(exist_ok=True)
        (tmp_path / "spaces").mkdir(exist_ok=True)
        study = tmp_path / "studies" / "study.toml"
        line = f'file = "../spaces/{name}"\n{own}'
        study.write_text(MINIMAL.replace("budget = 24", line))
        file = study.parent / "../spaces" / name
        file.write_text(space)
        return study, file

    return write


def test_a_study_overrides_its_space_file(with_space):
    study, _ = with_space("kind = 'ratio'\nbudget = 24\nmin_dim = 2", "min_dim = 3")
    space = load(study).search_space
    assert (space.kind, space.budget, space.min_dim) == ("ratio", 24, 3)
    assert load(study, ["search_space.min_dim=4"]).search_space.min_dim == 4
    assert "file" not in tomllib.loads(load(study).to_toml())["search_space"]


def test_a_space_file_can_be_yaml(with_space):
    study, _ = with_space("kind: ratio\nbudget: 24\n", name="space.yaml")
    assert load(study).search_space.kind == "ratio"


def test_an_override_can_name_the_space_file(study, tmp_path):
    (tmp_path / "other.toml").write_text("kind = 'ratio'")
    assert load(study, ["search_space.file=other.toml"]).search_space.kind == "ratio"


@pytest.mark.parametrize(
    ("space", "own", "in_space", "fragment"),
    [
        ("budget = -1", "", True, "budget: found -1"),
        ("budget = -1", "budget = -2", False, "search_space.budget: found -2"),
        ("budget = 24\nmin_dim = 0", "", True, "min_dim: found 0"),
        ("budget = 24", "min_dim = 0", False, "search_space.min_dim: found 0"),
        ("bugdet = 24", "", True, "bugdet: unknown key. Did you mean budget? Allowed: kind, "),
        ("budget = 24", "mindim = 2", False, "unknown key. Did you mean search_space.min_dim?"),
        ("min_dim = 2", "", False, "search_space.budget: missing"),
        ("budget = 24", "layers = 30", True, "budget: budget 24 is less than 30 layers"),
        ("budget = 24\nfile = 'x.toml'", "", True, "file: only a study file can name"),
        ("budget = [", "", True, "not valid TOML"),
    ],
)
def test_a_mistake_names_the_file_it_is_in(with_space, space, own, in_space, fragment):
    study, file = with_space(space, own)
    message = message_of(study)
    assert message.startswith(f"{file if in_space else study}: ")
    assert fragment in message


def test_a_space_file_that_is_not_there(study):
    missing = study.parent / "missing.toml"
    assert message_of(study, ["search_space.file=missing.toml"]) == f"{missing}: no such file"
    assert message_of(study, ["search_space.file=."]).startswith(f"{study.parent}: Is a directory")
    wrong = message_of(study, ["search_space.file=5"])
    assert wrong == f"{study}: search_space.file: found 5; allowed: a file name"


# The resolved study

text = st.text(max_size=20)
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
count = st.integers(1, 2**31 - 1)
size = st.integers(2, 2**31 - 1)
seed = st.integers(0, 2**31 - 1)
share = st.floats(0, 1)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
plain = st.sampled_from([s for s in config.SOURCES if s not in config.FILE_SOURCES])


def optional(**strategies):
    return st.fixed_dictionaries({}, optional=strategies)


def choices(section, field):
    return st.sampled_from(section.model_fields[field].annotation.__args__)


@st.composite
def sources(draw):
    entry = {"source": draw(st.sampled_from(config.SOURCES))}
    if entry["source"] in config.FILE_SOURCES:
        entry["path"] = draw(text | st.lists(text, min_size=1, max_size=3))
    more = optional(
        labels=text,
        array=text,
        split=st.sampled_from(["train", "test"]),
        invert=st.booleans(),
        classes=st.lists(st.integers(0, 9), max_size=3),
        name=names,
    )
    return {**entry, **draw(more)}


@st.composite
def ood_sets(draw):
    shift = st.builds(
        lambda shift, more: {"shift": shift, **more},
        st.sampled_from(config.SHIFTS),
        optional(strength=share, name=names),
    )
    short = plain | st.sampled_from(config.SHIFTS)
    entries = draw(st.lists(short | shift | sources(), max_size=3))

    def title(entry):
        if isinstance(entry, str):
            return entry
        return entry.get("name") or entry.get("source") or entry["shift"]

    return list({title(entry): entry for entry in entries}.values())


@st.composite
def spaces(draw):
    layers = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True))
    step, floor = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    budget = step * (floor * max(layers) + draw(st.integers(0, 30)))
    kind = draw(st.sampled_from(["ratio", "simplex", "table"]))
    space = {"kind": kind, "budget": budget}
    if kind == "table":
        splits = {1: str(budget), 2: f"{budget - 1}-1", 3: f"1-{budget - 2}-1"}
        possible = [s for n, s in splits.items() if budget >= n]
        allocations = st.lists(st.sampled_from(possible), min_size=1, unique=True)
        return {**space, "allocations": draw(allocations)}
    space |= {"step": step, "min_dim": floor * step}
    space["layers"] = layers[0] if len(layers) == 1 and draw(st.booleans()) else layers
    if draw(st.booleans()):
        space["max_dim"] = budget + draw(st.integers(0, 5))
    low = draw(st.floats(1e-300, 1e300))
    space["ratio_range"] = [low, low * draw(st.floats(1.5, 10))]
    return space


@st.composite
def studies(draw):
    data = {"id": draw(plain | sources())}
    data |= {key: draw(ood_sets()) for key in ("ood_validation", "ood_test")}
    sizes = ("train_size", "validation_size", "test_size", "ood_size")
    data |= draw(optional(**dict.fromkeys(sizes, size), seed=seed, download=st.booleans()))
    auroc = ["max:auroc", "min:auroc_worst"] if data["ood_validation"] else []
    objectives = st.sampled_from(["max:retention", "min:rate_1", "max:elbo", *auroc])
    hold, end = sorted((draw(share), draw(share)))
    training = optional(
        epochs=count,
        batch_size=size,
        learning_rate=positive,
        kl_warmup=share,
        free_nats=st.floats(0, allow_infinity=False),
        gradient_clip=positive,
        threads=count,
    )
    study = optional(name=names.filter(lambda s: s[0] not in "_-"), seed=seed, trials=count)
    model = optional(hidden=count, depth=count, skip=st.booleans())
    evaluation = optional(score=st.sampled_from(["auto", "negative_elbo", "kl_1"]), samples=size)
    return {
        "study": {
            **draw(study),
            "objectives": draw(st.lists(objectives, min_size=1, max_size=4)),
            "sampler": draw(choices(config.StudySection, "sampler")),
            "storage": draw(text),
        },
        "search_space": draw(spaces()),
        "data": data,
        "model": {**draw(model), "activation": draw(choices(config.ModelSection, "activation"))},
        "training": {**draw(training), "free_nats_hold": hold, "free_nats_end": end},
        "evaluation": draw(evaluation),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("config")


@settings(fixed, max_examples=100)
@given(studies())
def test_the_resolved_study_loads_to_an_equal_one(folder, content):
    path, resolved = folder / "study.toml", folder / "resolved.toml"
    path.write_text(tomli_w.dumps(content))
    loaded = load(path)
    resolved.write_text(loaded.to_toml())
    again = load(resolved)
    assert again == loaded
    assert again.to_toml() == loaded.to_toml()


@settings(fixed, max_examples=30)
@given(studies())
def test_yaml_and_toml_of_one_study_are_equal(folder, content):
    toml, other = folder / "one.toml", folder / "one.yaml"
    toml.write_text(tomli_w.dumps(content))
    other.write_text(format_yaml(content))
    assert load(other) == load(toml)


# Whatever a file holds, a study or one line comes out.


def load_or_one_line(path):
    """The one line that the study is refused with; "" where it loads and can be written."""
    try:
        loaded = load(path)
    except InputError as error:
        return str(error)
    return "" if tomllib.loads(loaded.to_toml()) else "written as nothing"


def is_one_line(message, start=""):
    return not message or (message.isprintable() and message.startswith(start))


@fixed
@given(st.binary(max_size=200), st.sampled_from(["toml", "yaml"]))
def test_random_bytes(folder, content, ending):
    path = folder / f"bytes.{ending}"
    path.write_bytes(content)
    assert load_or_one_line(path).startswith(f"{path}: ")


QUICKSTART = (ROOT / "studies" / "quickstart.toml").read_bytes()


@settings(fixed, max_examples=200)
@given(st.randoms(use_true_random=False), st.sampled_from(["toml", "yaml"]))
def test_random_mutations_of_a_study(folder, generator: random.Random, ending):
    content = QUICKSTART
    if ending == "yaml":
        content = format_yaml(tomllib.loads(content.decode())).encode()
    content = bytearray(
        content.replace(b"../search_spaces/", bytes(ROOT / "search_spaces") + b"/")
    )
    for _ in range(generator.randint(1, 5)):
        start = generator.randrange(len(content))
        end = min(len(content), start + generator.randint(0, 12))
        piece = generator.choice([b"", b"-", b"[", b"\n", b'"', b"9", b".", b"\xff", b"\0", b"{}"])
        content[start:end] = generator.choice([piece, bytes(content[start:end]) * 2])
    path = folder / f"mutated.{ending}"
    path.write_bytes(content)
    assert is_one_line(load_or_one_line(path))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(fixed, max_examples=200)
@given(st.sampled_from(sorted(fields(StudyConfig))), values)
def test_any_value_in_any_field(folder, field, value):
    section, key = field.split(".")
    content = {"search_space": {"budget": 24}, "data": {"id": "digits"}}
    content.setdefault(section, {})[key] = value
    path = folder / "value.yaml"
    path.write_text(format_yaml(content))
    assert is_one_line(load_or_one_line(path), f"{path}: ")
