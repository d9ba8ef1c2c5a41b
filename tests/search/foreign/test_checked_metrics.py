from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from allocsearch.search.foreign.checked_metrics import MetricsError, checked_metrics


def test_numbers_of_all_kinds_become_floats():
    found = checked_metrics({"a": 1, "b": 0.5, "c": np.float32(2), "d": np.int64(3)}, ("a", "d"))
    assert found == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 3.0}
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "found None; allowed: an object of metrics by name"),
        ([1, 2], "found [1, 2]; allowed: an object of metrics by name"),
        ({"a": "1"}, "a is '1'; allowed: a number"),
        ({"a": True}, "a is True; allowed: a number"),
        ({"a": None}, "a is None; allowed: a number"),
        ({"a": {"b": 1}}, "a is {'b': 1}; allowed: a number"),
        ({"a": torch.ones(())}, "a is tensor(1.); allowed: a number"),
        ({"a": math.nan}, "a is nan; allowed: a finite number"),
        ({"a": -math.inf}, "a is -inf; allowed: a finite number"),
        ({"a": 10**400}, "a is 1000000"),
        ({3: 1.0}, "found the name 3; allowed: text without spaces"),
        ({"": 1.0}, "found the name ''; allowed: text without spaces"),
        ({"a b": 1.0}, "found the name 'a b'; allowed: text without spaces"),
        ({"a\n": 1.0}, r"found the name 'a\n'; allowed: text without spaces"),
        ({"a\x1b": 1.0}, r"found the name 'a\x1b'; allowed: text without spaces"),
        ({"b": 1.0, "c": 2.0}, "no a, which is an objective; found b, c"),
        ({}, "no a, which is an objective; found nothing"),
    ],
)
def test_what_is_wrong_is_one_line(found, message):
    with pytest.raises(MetricsError) as caught:
        checked_metrics(found, ("a",))
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
