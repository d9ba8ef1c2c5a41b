from __future__ import annotations

import hashlib

import pytest
import torch

from allocsearch.data.dataset import Dataset

VALUES = torch.arange(24, dtype=torch.uint8).reshape(4, 2, 3)


def test_has_length_and_shape_of_one_example():
    dataset = Dataset("a", VALUES)
    assert len(dataset) == 4
    assert dataset.shape == (2, 3)


def test_fingerprint_is_sha256_of_shape_and_bytes():
    expected = hashlib.sha256(b"(4, 2, 3)" + bytes(range(24))).hexdigest()
    assert Dataset("a", VALUES).fingerprint == expected
    # Strides are no content.
    strided = VALUES.transpose(1, 2).contiguous().transpose(1, 2)
    assert Dataset("b", strided).fingerprint == expected


def test_fingerprint_tells_shapes_and_bytes_apart():
    other = VALUES.clone()
    other[3, 1, 2] += 1
    prints = {Dataset("a", v).fingerprint for v in (VALUES, other, VALUES.reshape(4, 3, 2))}
    assert len(prints) == 3


def test_continuous_values_have_a_fingerprint_of_their_own():
    values = torch.arange(6, dtype=torch.float32).reshape(3, 2)
    dataset = Dataset("a", values)
    assert dataset.continuous
    assert not Dataset("a", VALUES).continuous
    expected = hashlib.sha256(b"(3, 2) float32" + values.numpy().tobytes()).hexdigest()
    assert dataset.fingerprint == expected


def test_tokens_are_bytes_of_another_kind():
    tokens = Dataset("a", VALUES, kind="tokens")
    assert (tokens.kind, Dataset("a", VALUES).kind) == ("tokens", "pixels")
    assert Dataset("a", VALUES.float()).kind == "continuous"
    assert not tokens.continuous
    assert tokens.fingerprint == hashlib.sha256(b"(4, 2, 3) tokens" + bytes(range(24))).hexdigest()
    assert tokens.take(torch.tensor([1])).kind == "tokens"
    with pytest.raises(ValueError, match="of kind 'tokens'"):
        Dataset("a", VALUES.float(), kind="tokens")


def test_names_of_classes_stay_with_the_examples():
    dataset = Dataset("a", VALUES, torch.tensor([0, 1, 1, 0]), class_names=("RVP", "TPR_2"))
    assert dataset.take(torch.tensor([1])).class_names == ("RVP", "TPR_2")


def test_clusters_stay_with_the_examples():
    dataset = Dataset("a", VALUES, clusters=torch.tensor([5, 5, 6, 7]))
    assert dataset.take(torch.tensor([3, 0])).clusters.tolist() == [7, 5]
    assert Dataset("a", VALUES).take(torch.tensor([3])).clusters is None
    with pytest.raises(ValueError, match=r"clusters are int64 of shape \(4,\)"):
        Dataset("a", VALUES, clusters=torch.tensor([5, 5]))


def test_take_keeps_order_and_labels():
    dataset = Dataset("a", VALUES, torch.tensor([5, 6, 7, 8])).take(torch.tensor([2, 0]))
    assert dataset.name == "a"
    assert torch.equal(dataset.values, VALUES[[2, 0]])
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [7, 5]
    assert Dataset("a", VALUES).take(torch.tensor([1])).labels is None


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (VALUES.double(), None),
        (VALUES[:, 0, 0], None),
        (VALUES, torch.zeros(3, dtype=torch.int64)),
        (VALUES, torch.zeros(4)),
    ],
)
def test_refuses_other_types_and_lengths(values, labels):
    with pytest.raises(ValueError, match="int"):
        Dataset("a", values, labels)
