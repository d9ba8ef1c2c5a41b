from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from allocsearch.config import DataSection, InputError
from allocsearch.data.alphabet import PAD, UNKNOWN, decode
from allocsearch.data.clustered import held_out_clusters
from allocsearch.data.identity import identity_clusters
from allocsearch.data.splits import load_search_data, load_test_data


def kmers(row):
    text = decode(row)
    return {text[i : i + 3] for i in range(len(text) - 2) if "X" not in text[i : i + 3]}


def alike(tokens, threshold):
    """Which pairs are, one by one, from the definition."""
    sets = [kmers(row) for row in tokens]

    def pair(i, j):
        smaller = min(len(sets[i]), len(sets[j]))
        if np.array_equal(tokens[i], tokens[j]):
            return True
        return smaller > 0 and len(sets[i] & sets[j]) / smaller >= threshold

    return np.array([[pair(i, j) for j in range(len(tokens))] for i in range(len(tokens))])


def same_partition(one, other):
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


def families(generator, families, members, length=30, changes=6, alphabet=20):
    """Sequences that descend from a few, some cut short, some with unknown residues."""
    rows = []
    for _ in range(families):
        ancestor = generator.integers(1, alphabet + 1, length)
        for _ in range(members):
            row = ancestor.copy()
            at = generator.integers(0, length, generator.integers(0, changes + 1))
            row[at] = generator.integers(1, alphabet + 1, len(at))
            if generator.random() < 0.2:
                row[generator.integers(0, length, 2)] = UNKNOWN
            if generator.random() < 0.3:
                row[generator.integers(0, length) :] = PAD
            rows.append(row)
    return np.array(rows, dtype=np.uint8)


@given(
    st.integers(0, 10_000),
    st.sampled_from([0.3, 0.5, 0.75, 0.9, 1.0]),
    st.sampled_from([3, 20]),
)
@settings(derandomize=True, deadline=None, max_examples=30)
def test_clusters_are_the_components_of_all_pairs_that_are_alike(seed, threshold, alphabet):
    tokens = families(np.random.default_rng(seed), 4, 10, alphabet=alphabet)
    tokens = np.concatenate((tokens, tokens[:5]))
    found = identity_clusters(tokens, threshold)
    expected = connected_components(alike(tokens, threshold), directed=False)[1]
    assert same_partition(found, expected)


@pytest.mark.parametrize("width", [1, 2, 3, 200])
def test_short_and_empty_sequences_are_alike_to_their_equals_alone(width):
    tokens = np.zeros((5, width), dtype=np.uint8)
    tokens[2:4, 0] = 3
    tokens[4] = UNKNOWN
    assert identity_clusters(tokens, 0.5).tolist() == [0, 0, 1, 1, 2]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 99),
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_parts_are_disjoint_whole_clusters_of_at_most_their_size(sizes, validation, test, seed):
    clusters = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    clusters = clusters[torch.randperm(len(clusters), generator=torch.Generator().manual_seed(1))]
    parts = held_out_clusters(clusters, validation, test, torch.Generator().manual_seed(seed))
    again = held_out_clusters(clusters, validation, test, torch.Generator().manual_seed(seed))
    of_each = [set(clusters[part].tolist()) for part in parts]
    for part, repeated, asked, own in zip(parts, again, (validation, test), of_each, strict=True):
        assert torch.equal(part, repeated)
        assert len(part) <= asked
        assert len(part) == sum(sizes[cluster] for cluster in own)
    assert not of_each[0] & of_each[1]


def test_resizing_one_part_moves_the_other_not():
    clusters = torch.arange(1000)
    first = held_out_clusters(clusters, 100, 50, torch.Generator().manual_seed(0))
    other = held_out_clusters(clusters, 100, 200, torch.Generator().manual_seed(0))
    assert torch.equal(first[0], other[0])
    assert set(first[1].tolist()) < set(other[1].tolist())
    assert (len(first[0]), len(first[1]), len(other[1])) == (100, 50, 200)


@pytest.fixture
def section(tmp_path):
    tokens = families(np.random.default_rng(3), 30, 8, changes=3)
    # Names of their own for sequences without any residue, which FASTA has not.
    rows = [row for row in tokens if (row != PAD).any()]
    path = tmp_path / "p.fasta"
    path.write_text("".join(f">s{i}\n{decode(row)}\n" for i, row in enumerate(rows)))
    source = {"source": "fasta", "path": str(path), "length": 30}
    return DataSection.model_validate({"id": source, "identity": 0.6}), len(rows)


def test_no_sequence_of_a_part_is_alike_to_one_of_another(section):
    config, n = section
    search, test = load_search_data(config), load_test_data(config)
    parts = [each.values.numpy() for each in (search.train, search.validation, test.test)]
    assert sum(map(len, parts)) == n
    assert [len(part) for part in parts[1:]] == [round(0.15 * n)] * 2
    together = alike(np.concatenate(parts), 0.6)
    of_part = np.repeat([0, 1, 2], list(map(len, parts)))
    assert not together[of_part[:, None] != of_part[None]].any()
    # All of a part that are alike are in one of its clusters.
    for part in (search.train, search.validation, test.test):
        own = alike(part.values.numpy(), 0.6)
        assert (part.clusters[:, None] == part.clusters[None])[torch.from_numpy(own)].all()
    # It would be otherwise by chance.
    singly = config.model_copy(update={"identity": None})
    mixed = [load_search_data(singly).train.values, load_test_data(singly).test.values]
    assert load_search_data(singly).validation.clusters is None
    across = alike(np.concatenate(mixed), 0.6)[: len(mixed[0]), len(mixed[0]) :]
    assert across.any()


def test_the_probe_set_has_clusters_of_its_own(section, tmp_path):
    config, _ = section
    path = tmp_path / "others.fasta"
    sequences = ["ACDEFGHIKL", "CDEFGHIKLM", "WYWYVVTTSSRR", "ACDEFGHIKL", "WYWYVVTTSS"]
    path.write_text("".join(f">s{i} family={'ab'[i % 2]}\n{s}\n" for i, s in enumerate(sequences)))
    raw = config.model_dump(exclude_unset=True)
    raw["probe"] = {"source": "fasta", "path": str(path)}
    probed = load_search_data(DataSection.model_validate(raw)).probed
    assert probed.labels is not None
    assert probed.clusters.tolist() == [0, 0, 1, 0, 1]


def test_equal_seeds_give_equal_parts_and_train_can_be_smaller(section):
    config, _ = section
    whole, again = load_search_data(config), load_search_data(config)
    assert whole.fingerprint == again.fingerprint
    other = load_search_data(config.model_copy(update={"seed": 1}))
    assert other.fingerprint != whole.fingerprint
    small = load_search_data(config.model_copy(update={"train_size": 50}))
    assert len(small.train) == 50
    assert torch.equal(small.train.values, whole.train.values[:50])
    assert torch.equal(small.validation.values, whole.validation.values)


def test_one_cluster_of_all_is_refused(tmp_path):
    path = tmp_path / "p.fasta"
    path.write_text("".join(f">s{i}\n{'ACDEFGHIKL'[i % 2 :]}\n" for i in range(40)))
    source = {"source": "fasta", "path": str(path), "length": 12}
    config = DataSection.model_validate({"id": source, "identity": 0.5})
    with pytest.raises(InputError, match=r"^data\.identity: found 0\.5, at .* has 40 of 40 seq"):
        load_search_data(config)
    with pytest.raises(ValueError, match=r"for data\.id of 'digits'"):
        DataSection.model_validate({"id": {"source": "digits"}, "identity": 0.5})
