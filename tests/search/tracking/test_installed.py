from __future__ import annotations

import pytest

from allocsearch.config import InputError, TrackingSection
from allocsearch.search.tracking import installed
from allocsearch.search.tracking.installed import check_trackers


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    monkeypatch.setattr(installed.sys, "modules", {})
    check_trackers(TrackingSection())
    with pytest.raises(InputError) as error:
        check_trackers(TrackingSection(tensorboard=True))
    expected = "tracking.tensorboard: needs tensorboard; pip install 'allocsearch[tensorboard]'"
    assert str(error.value) == expected
    with pytest.raises(InputError, match=r"^tracking.mlflow: needs mlflow; pip install "):
        check_trackers(TrackingSection(mlflow="http://localhost:5000"))
