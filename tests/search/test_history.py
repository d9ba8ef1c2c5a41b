from __future__ import annotations

import json

import pytest

from allocsearch.config import InputError
from allocsearch.search.history import read_history
from allocsearch.training.epoch import Epoch


def test_epochs_are_read_in_order(tmp_path):
    path = tmp_path / "metrics.json"
    epochs = [{"epoch": i, "epochs": 3, "elbo": -30.0 + i, "rates": [i, 0.5]} for i in (2, 1, 3)]
    path.write_text(json.dumps({"metrics": {"elbo": 1}, "history": epochs}))
    assert read_history(path) == (
        Epoch(1, 3, -29.0, (1.0, 0.5)),
        Epoch(2, 3, -28.0, (2.0, 0.5)),
        Epoch(3, 3, -27.0, (3.0, 0.5)),
    )


def test_a_trial_of_before_the_rates_were_kept_has_none(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"history": [{"epoch": 1, "epochs": 1, "elbo": -3.5}]}')
    assert read_history(path) == (Epoch(1, 1, -3.5, ()),)


def test_a_trainer_that_keeps_no_epochs_has_none(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"metrics": {}}')
    assert read_history(path) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"history": 3}', "history: "),
        ('{"history": [{"epoch": 1, "epochs": 1, "elbo": NaN}]}', "history.0.elbo: "),
        ('{"history": [{"epoch": 0, "epochs": 1, "elbo": 1.0}]}', "history.0.epoch: "),
        (
            f'{{"history": [{{"epoch": {10**21}, "epochs": 1, "elbo": 1.0}}]}}',
            "history.0.epoch: ",
        ),
        (
            '{"history": [{"epoch": 1, "epochs": 1, "elbo": 1.0, "rates": [Infinity]}]}',
            "history.0.rates.0: ",
        ),
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
