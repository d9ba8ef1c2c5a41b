from __future__ import annotations

import json

import pytest

from allocsearch.config import InputError
from allocsearch.search.history import read_history


def test_epochs_are_read_in_order(tmp_path):
    path = tmp_path / "metrics.json"
    epochs = [{"epoch": i, "epochs": 3, "elbo": -30.0 + i} for i in (2, 1, 3)]
    path.write_text(json.dumps({"metrics": {"elbo": 1}, "history": epochs}))
    assert list(read_history(path).items()) == [(1, -29.0), (2, -28.0), (3, -27.0)]


def test_a_trainer_that_keeps_no_epochs_has_none(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"metrics": {}}')
    assert read_history(path) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"history": 3}', "history: "),
        ('{"history": [{"epoch": 1, "elbo": NaN}]}', "history.0.elbo: "),
        ('{"history": [{"epoch": 0, "elbo": 1.0}]}', "history.0.epoch: "),
        ('{"history": [{"epoch": 1000000000000000000000, "elbo": 1.0}]}', "history.0.epoch: "),
        (None, "No such file"),
    ],
)
def test_what_is_damaged_is_one_line(tmp_path, text, told):
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        read_history(path)
    assert str(error.value).startswith(f"{path}: ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)
