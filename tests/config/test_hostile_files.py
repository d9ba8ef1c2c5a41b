"""Whatever a file holds, a study or one line comes out."""

from __future__ import annotations

import random
import tomllib
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config import InputError, StudyConfig, format_yaml, load

ROOT = Path(__file__).parents[2]
QUICKSTART = (ROOT / "studies" / "quickstart.toml").read_bytes()
fixed = settings(derandomize=True, deadline=None, max_examples=150)


FIELDS = [
    f"{section}.{name}"
    for section, field in StudyConfig.model_fields.items()
    if section != "schema_version"
    # A section that may be missing is a union with None.
    for name in (typing.get_args(field.annotation) or (field.annotation,))[0].model_fields
]


def wrong_type(field):
    """A value that no field takes."""
    return f"{field}={{ wrong = [1] }}"


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_refuses_a_wrong_type(study, field, message_of):
    message = message_of(study, [wrong_type(field)])
    assert message.startswith(f"{study}: {field}")
    assert "found" in message or "unknown key" in message


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
def test_yaml_tags_build_no_objects(tmp_path, content, message_of):
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
def test_deep_nesting_is_refused(tmp_path, name, content, message_of):
    path = tmp_path / name
    path.write_text(content)
    assert len(message_of(path)) < 1_000


def test_aliases_that_multiply_are_refused_at_once(tmp_path, message_of):
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
def test_huge_values_are_refused(study, field, value, message_of):
    message = message_of(study, [f"{field}={value}"])
    assert message.startswith(f"{study}: {field}")
    assert len(message) < 1_000


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
@given(st.sampled_from(FIELDS), values)
def test_any_value_in_any_field(folder, field, value):
    section, key = field.split(".")
    content = {"search_space": {"budget": 24}, "data": {"id": "digits"}}
    content.setdefault(section, {})[key] = value
    path = folder / "value.yaml"
    path.write_text(format_yaml(content))
    assert is_one_line(load_or_one_line(path), f"{path}: ")
