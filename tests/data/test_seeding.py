from __future__ import annotations

import torch

from allocsearch.data.seeding import generator


def draw(*purpose: str, seed: int = 0) -> list[float]:
    return torch.rand(3, generator=generator(seed, *purpose)).tolist()


def test_depends_on_seed_and_purpose_alone():
    torch.manual_seed(1)
    first = draw("shift", "a")
    torch.manual_seed(2)
    assert draw("shift", "a") == first
    others = [draw("shift", "b"), draw("shift", "a", seed=1), draw("shifta"), draw("a", "shift")]
    assert all(other != first for other in others)
