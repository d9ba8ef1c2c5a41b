"""What plain detectors reach on the test sets of a final evaluation."""

from __future__ import annotations

from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import TestData
from allocsearch.metrics.plain import PLAIN_SCORES
from allocsearch.search.evaluation.evaluations import PlainBaseline
from allocsearch.search.evaluation.final_statistics import Scored, detected


def plain_baselines(train: Dataset, test: TestData) -> tuple[PlainBaseline, ...]:
    """The AUROC of each plain detector on each OOD test set; none for what is no tokens.

    Args:
        train: The ID train part, which they are fitted to.
        test: What they are tested on.
    """
    if train.kind != "tokens":
        return ()
    found = []
    for name, score in PLAIN_SCORES.items():
        of_ood = {each.name: score(train.values, each.values)[None] for each in test.ood_test}
        scored = Scored(score(train.values, test.test.values)[None], of_ood)
        sets = tuple(detected(each, scored, None, None) for each in of_ood)
        found.append(PlainBaseline(name, sets))
    return tuple(found)
