from __future__ import annotations

import pytest

from allocsearch.config import Objective


@pytest.mark.parametrize("text", ["auroc", "maximize:auroc", "max:", "max: auroc", "max:a b", ""])
def test_an_objective_has_one_form(text):
    with pytest.raises(ValueError, match="max:METRIC or min:METRIC"):
        Objective.parse(text)


def test_an_objective_reads_and_writes_itself():
    objective = Objective.parse("min:auroc.MNIST.llr_1")
    assert (objective.metric, objective.direction) == ("auroc.MNIST.llr_1", "minimize")
    assert str(objective) == "min:auroc.MNIST.llr_1"
