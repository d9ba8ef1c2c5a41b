"""Whatever is done to a study, a search space, an export or a detector, no loader breaks down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import KINDS, Case, case
from outcome import outcome, whole_card, write_whole_detector

from allocsearch.config import InputError, read_file


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    write_whole_detector(folder)
    return folder


@pytest.fixture(scope="module")
def card(detector):
    return whole_card(detector)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(number=st.integers(0, 2**32))
def test_a_mutation_loads_or_is_refused_in_one_line(folder, detector, card, number):
    each = case(number, card)
    outcome(each, detector if each.kind == "detector" else folder)


@pytest.mark.parametrize("kind", KINDS)
def test_some_mutations_of_every_kind_load_and_others_do_not(folder, detector, card, kind):
    numbers = range(KINDS.index(kind), 40 * len(KINDS), len(KINDS))
    each = [case(number, card) for number in numbers]
    assert {mutation.kind for mutation in each} == {kind}
    place = detector if kind == "detector" else folder
    assert {bool(outcome(mutation, place)) for mutation in each} == {True, False}


@pytest.mark.parametrize("shape", [[2**31 - 1] * 2, [2**31 - 1] * 3, [7]])
def test_the_shape_of_another_detector(detector, card, shape):
    each = Case("detector", "detector.json", json.dumps({**card, "shape": shape}).encode())
    assert "does not fit the tensors beside it" in outcome(each, detector)


@pytest.mark.parametrize(
    "value",
    ["!!bool foo", "!!int ''", "!!float ''", "!!timestamp foo", "!!int", "!!float 1e", "!!int _"],
)
def test_a_tag_that_does_not_fit_its_value(tmp_path, value, message_of):
    path = tmp_path / "study.yaml"
    path.write_text(f"study: {{seed: {value}}}\n")
    assert message_of(path).startswith(f"{path}: not valid YAML: ")


@pytest.mark.parametrize("value", ["1" + ":59" * 80_000, "1" + ":59" * 80_000 + ".5", "12:30"])
def test_digits_with_colons_are_text(tmp_path, value):
    path = tmp_path / "file.yaml"
    path.write_text(f"at: {value}\n")
    assert read_file(path) == {"at": value}


@pytest.mark.parametrize("ending", ["toml", "yaml", "json"])
def test_a_key_that_stands_twice(tmp_path, ending):
    path = tmp_path / f"file.{ending}"
    text = {"toml": "a = 1\na = 2", "yaml": "b: {a: 1, a: 2}", "json": '{"b": {"a": 1, "a": 2}}'}
    path.write_text(text[ending])
    with pytest.raises(InputError, match=rf"file\.{ending}: not valid {ending.upper()}: "):
        read_file(path)


def test_equal_keys_of_other_types_are_two(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: {1: x, '1': y}\n")
    assert read_file(path) == {"a": {1: "x", "1": "y"}}


def test_merge_keys_that_multiply_are_refused_at_once(tmp_path, message_of):
    lines = ["a0: &a0 {budget: 8}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 100)}]}}" for i in range(1, 40)]
    path = tmp_path / "study.yaml"
    path.write_text("\n".join([*lines, "search_space: *a39"]))
    assert "merge key (<<)" in message_of(path)


@pytest.mark.parametrize(
    "text", [".".join("a" * 100_000) + " = 1", "x = {" + ".".join("a" * 60_000) + " = 1}"]
)
def test_a_dotted_key_without_end_is_refused_at_once(study, text, message_of):
    assert message_of(study, [f"training.epochs={{{text}}}"]).startswith(
        f"{study}: training.epochs: found '{{"
    )
    study.write_text(text)
    assert "a line has more than 1000 dots" in message_of(study)


@pytest.mark.parametrize(
    ("ending", "most"), [("toml", 2**20), ("yaml", 2**18), ("yml", 2**18), ("json", 2**26)]
)
def test_a_file_can_be_too_long(tmp_path, ending, most):
    path = tmp_path / f"file.{ending}"
    path.write_bytes(b" " * (most + 1))
    with pytest.raises(InputError, match=f"found more than {most} bytes, the most for"):
        read_file(path)


def test_what_is_no_study_by_its_name_is_not_opened(study, message_of):
    # Reading it would never end.
    message = message_of(study, ["search_space.file=/dev/zero"])
    assert message.startswith("/dev/zero: found no ending; allowed: a readable .toml")


@pytest.mark.parametrize("layers", [1_001, 100_000_000, 2**31 - 1])
def test_more_layers_than_any_lattice_has(study, layers, message_of):
    texts = [f"search_space.layers={layers}", f"search_space.budget={2**31 - 1}"]
    assert message_of(study, texts) == (
        f"{study}: search_space.layers.0: found {layers}; input should be less than or equal to "
        "1000"
    )


@pytest.mark.parametrize("text", ["1-" * 1_000 + "1", "9" * 2_001])
def test_an_allocation_of_more_layers_or_digits(study, text, message_of):
    texts = ["search_space.kind=table", f"search_space.allocations=['{text}']"]
    assert "string should have at most 2000 characters" in message_of(study, texts)


def test_a_long_value_leaves_the_line_short(study, message_of):
    message = message_of(study, [f"evaluation.score={'a' * 100_000}"])
    assert len(message) == 10_000


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"allocation": "1-" * 1_000 + "1"}, "allocation: found '1-1-"),
        ({"allocation": "8-8-9"}, "dims: found [8, 8, 8]; allocation 8-8-9 has other dims"),
        ({"model": {"blocks": "conv", "strides": [2, 2]}}, "model.strides: found 2 values for 3"),
        ({"provenance": {"study": "../x", "trial": -1}}, "provenance.trial: found -1"),
    ],
)
def test_an_export_that_cannot_be_trained(tmp_path, change, line):
    whole = {
        "allocation": "8-8-8",
        "dims": [8, 8, 8],
        "seed": 1,
        "data": {"id": "digits"},
        "model": {},
        "training": {},
        "evaluation": {},
        "provenance": {"study": "given", "trial": 0},
    }
    export = Case("export", "best.json", json.dumps(whole).encode())
    assert outcome(export, tmp_path) == ""
    export = Case("export", "best.json", json.dumps({**whole, **change}).encode())
    assert outcome(export, tmp_path).startswith(f"{tmp_path}/best.json: {line}")
