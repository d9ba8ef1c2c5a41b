"""The studies that users copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import load

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_study_resolves_to_one_that_loads_again(path, tmp_path):
    config = load(path)
    assert config.study.name == path.stem
    (tmp_path / "study.toml").write_text(config.to_toml())
    assert load(tmp_path / "study.toml") == config


def test_the_convolution_study_holds_the_published_allocation():
    lattice = load(STUDIES / "fashion_mnist_conv.toml").search_space.lattices()[3]
    assert Allocation((8 * 14 * 14, 16, 8)) in lattice
    assert lattice.size > 40
