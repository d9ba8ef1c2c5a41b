from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config.placeholders import filled, placeholders


@pytest.mark.parametrize(
    ("text", "names", "result"),
    [
        ("{seed}", ["seed"], "7"),
        ("--out={out}.json", ["out"], "--out=/o.json"),
        ("{seed}{out}{seed}", ["seed", "out", "seed"], "7/o7"),
        ("{{seed}}", [], "{seed}"),
        ('{"seed":{seed}}', ["seed"], '{"seed":7}'),
        ('{"a": {"b": 1}}', [], '{"a": {"b": 1}}'),
        ("{} { seed } {se-ed}", [], "{} { seed } {se-ed}"),
    ],
)
def test_only_a_name_in_braces_is_a_placeholder(text, names, result):
    assert placeholders(text) == names
    assert filled(text, {"seed": "7", "out": "/o"}) == result


def test_what_is_filled_in_is_not_filled_again():
    assert filled("{out}", {"out": "{seed}", "seed": "7"}) == "{seed}"


def test_no_value():
    with pytest.raises(KeyError):
        filled("{nothing}", {})


@settings(derandomize=True, max_examples=100)
@given(st.dictionaries(st.text(), st.integers() | st.lists(st.text())))
def test_json_of_more_than_a_line_stays_as_it_is(content):
    text = json.dumps(content, indent=1)
    assert placeholders(text) == []
    assert filled(text, {}) == text
