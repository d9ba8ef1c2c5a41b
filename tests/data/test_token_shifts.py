from __future__ import annotations

import re
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config import SHIFTS, InputError
from allocsearch.data.alphabet import PAD, UNKNOWN
from allocsearch.data.shifts import shifted

TASKS = ("corruption", "segment_shuffling", "segment_deletion")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def done(task, values, strength, seed=0):
    return shifted(task, values, strength, seeded(seed), "tokens")


def lengths(values):
    return (values != PAD).sum(1)


@st.composite
def batches(draw):
    width = draw(st.integers(1, 40))
    sizes = draw(st.lists(st.integers(0, width), min_size=1, max_size=6))
    tokens = torch.randint(1, 22, (len(sizes), width), generator=seeded(draw(st.integers(0, 99))))
    inside = torch.arange(width) < torch.tensor(sizes)[:, None]
    return torch.where(inside, tokens, PAD).to(torch.uint8)


# More sequences for the questions of chance, of 1 to 60 residues.
MANY = torch.where(
    torch.arange(60) < torch.arange(400)[:, None] % 60 + 1,
    torch.randint(1, 22, (400, 60), generator=seeded(5)),
    PAD,
).to(torch.uint8)


@pytest.mark.parametrize("task", TASKS)
@given(values=batches(), strength=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_pads_stay_at_the_end_and_nothing_else_changes(task, values, strength, seed):
    before = values.clone()
    found = done(task, values, strength, seed)
    assert (found.dtype, found.shape) == (torch.uint8, values.shape)
    assert torch.equal(values, before)
    assert torch.equal(found, done(task, values, strength, seed))
    assert torch.equal(done(task, values, 0.0, seed), values)
    # Once a pad, always pads.
    assert not ((found[:, :-1] == PAD) & (found[:, 1:] != PAD)).any()
    assert found.max() <= UNKNOWN
    if task != "segment_deletion":
        assert torch.equal(lengths(found), lengths(values))


@given(values=batches(), strength=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_corruption_replaces_the_share_exactly(values, strength, seed):
    found = done("corruption", values, strength, seed)
    assert (found != values).sum(1).tolist() == [
        round(strength * n) for n in lengths(values).tolist()
    ]
    assert not (found[found != values] == UNKNOWN).any()


def test_corruption_draws_the_others_equally_and_everywhere():
    values = torch.full((2000, 20), 7, dtype=torch.uint8)
    found = done("corruption", values, 0.5)
    counts = torch.bincount(found[found != 7].long(), minlength=21)
    assert (counts[7], counts[0]) == (0, 0)
    others = counts[counts > 0].double()
    # 19 amino acids, some 1,053 each: four standard deviations.
    assert len(others) == 19
    assert (others - 20_000 / 19).abs().max() < 4 * (20_000 / 19) ** 0.5
    at = (found != values).double().mean(0)
    assert (at - 0.5).abs().max() < 4 * (0.25 / 2000) ** 0.5


@given(values=batches(), strength=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_shuffling_keeps_the_composition(values, strength, seed):
    found = done("segment_shuffling", values, strength, seed)
    for row, other in zip(values.tolist(), found.tolist(), strict=True):
        assert Counter(row) == Counter(other)


@pytest.mark.parametrize(("strength", "moved"), [(0.1, 2), (0.5, 8), (1.0, 16)])
def test_shuffling_moves_whole_segments_in_one_cycle(strength, moved):
    # 16 segments of three residues: 0 0 0 1 1 1 ...
    segment = torch.arange(48) // 3
    values = (segment + 1).to(torch.uint8).expand(50, -1)
    padded = torch.nn.functional.pad(values, (0, 9))
    found = done("segment_shuffling", padded, strength)
    assert (found[:, 48:] == PAD).all()
    parts = found[:, :48].reshape(50, 16, 3)
    assert (parts == parts[:, :, :1]).all()
    places = parts[:, :, 0].long() - 1
    for row in places.tolist():
        elsewhere = [i for i in range(16) if row[i] != i]
        assert len(elsewhere) == moved
        at, steps = row[elsewhere[0]], 1
        while at != elsewhere[0]:
            at, steps = row[at], steps + 1
        assert steps == moved
    assert len({tuple(row) for row in places.tolist()}) > 30


@given(values=batches(), strength=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_deletion_removes_one_run_and_closes_up(values, strength, seed):
    found = done("segment_deletion", values, strength, seed)
    for row, other in zip(values.tolist(), found.tolist(), strict=True):
        row, other = ([token for token in each if token != PAD] for each in (row, other))
        gone = min(round(strength * len(row)), max(0, len(row) - 1))
        assert len(other) == len(row) - gone
        assert any(row[:i] + row[i + gone :] == other for i in range(len(other) + 1))


def test_every_sequence_is_shifted_by_its_own_choice_and_further_the_stronger():
    for task in TASKS:
        means = [
            float((done(task, MANY, s) != MANY).double().mean()) for s in (0.0, 0.25, 0.5, 1.0)
        ]
        assert means == sorted(set(means)), task
        same = MANY[59:60].expand(30, -1)
        assert len({tuple(row) for row in done(task, same, 0.5).tolist()}) > 20


def test_a_run_may_be_removed_at_any_place():
    values = torch.arange(1, 11, dtype=torch.uint8).expand(4000, -1)
    found = done("segment_deletion", values, 0.3)
    first = torch.tensor([next(i for i in range(8) if i == 7 or row[i] != i + 1) for row in found])
    counts = torch.bincount(first, minlength=8).double()
    assert (counts - 500).abs().max() < 4 * (4000 * 7 / 64) ** 0.5


@pytest.mark.parametrize("shift", sorted(set(SHIFTS) - set(TASKS)))
def test_shifts_of_pixels_refuse_tokens(shift):
    message = f"shift '{shift}' takes no tokens; allowed for them: {', '.join(TASKS)}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        done(shift, MANY, 0.5)
