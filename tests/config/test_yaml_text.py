from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allocsearch.config import ModelSection, format_yaml, load
from allocsearch.config.yaml_text import parse_yaml

ROOT = Path(__file__).parents[2]


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
    assert loaded.model == ModelSection()


# Text that one version of YAML or the other takes for a number, a truth value, a date or nothing.
ODD = st.from_regex(r"[-+]?[0-9][0-9_.:eE+-]{0,6}", fullmatch=True) | st.sampled_from(
    ["yes", "off", "null", "~", "", "2001-01-01", ".inf", ".NaN", "=", "<<", "0o7", "0x1F"]
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(text=ODD | st.text(max_size=8), number=st.floats(allow_nan=False) | st.integers())
@example(text="0E0", number=1e-05)
@example(text="1e3", number=1e300)
def test_text_stays_text_and_numbers_stay_numbers(text, number):
    content = {"text": text, "number": number, text: [text, number]}
    assert repr(parse_yaml(format_yaml(content))) == repr(content)


def test_keys_keep_their_order():
    assert list(parse_yaml(format_yaml({"b": 1, "a": 2}))) == ["b", "a"]
