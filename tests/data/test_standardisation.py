from __future__ import annotations

import torch

from allocsearch.data.standardisation import Standardiser


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_other_examples_are_mapped_by_the_same_means_and_scales():
    values = normal(40, 3) * torch.tensor([1.0, 1e-3, 1e4]) + torch.tensor([0.0, 5.0, -1e5])
    mean, deviation = values.double().mean(0), values.double().std(0, correction=0)
    scale = Standardiser.fit(values)
    for other in (values, normal(7, 3, seed=1)):
        expected = ((other.double() - mean) / deviation).float()
        torch.testing.assert_close(scale(other), expected)
        assert scale(other).dtype == torch.float32


def test_a_constant_feature_has_scale_one():
    values = normal(40, 2)
    values[:, 1] = 0.1
    scale = Standardiser.fit(values)
    found = scale(torch.tensor([[0.0, 0.1], [0.0, 2.1]]))
    torch.testing.assert_close(found[:, 1], torch.tensor([0.0, 2.0]))


def test_images_keep_their_shape():
    values = normal(6, 3, 2, 2)
    scaled = Standardiser.fit(values)(values)
    assert scaled.shape == values.shape
    torch.testing.assert_close(scaled.mean(0), torch.zeros(3, 2, 2), atol=1e-6, rtol=0)
