"""Clusters of sequences that are near-identical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from allocsearch.data.alphabet import PAD, UNKNOWN

Integers = NDArray[np.int64]

K = 3
"""Residues of a k-mer."""

# Sorts that find most of the pairs before any search.
_SORTS = 16
# Rare k-mers that a pair has to share; more take longer prefixes, but leave fewer pairs.
_SHARED = 3
# Pairs of one block, so that it takes some tens of MB.
_BLOCK = 2_000_000
_CHUNK = 100_000


@dataclass(frozen=True)
class _Sets:
    """The k-mers of each sequence.

    Attributes:
        kmers: Which each has, `(n, k-mers)` of ones; the rarest k-mers come first.
        sizes: How many each has, `(n,)`.
        needed: How many of its own another set must have to be alike, `(n,)`.
        bits: Each set as bits, several k-mers to one, `(n, words)`.
    """

    kmers: csr_matrix
    sizes: Integers
    needed: Integers
    bits: NDArray[np.uint64]


def identity_clusters(tokens: NDArray[np.uint8], threshold: float) -> Integers:
    """The cluster of each sequence: no two of different clusters are as alike as the threshold.

    The identity of two sequences is the number of distinct k-mers that both have over the smaller
    one of the numbers that each has: Edgar's k-mer similarity (F^Bin), but for k-mers that a
    sequence has twice. It is 1 for a sequence and a part of it. k is 3, and k-mers with an
    unknown residue do not count, so that it hides no kinship. Clusters are the connected
    components of the pairs whose identity is the threshold or more (single linkage); equal
    sequences are always in one, and a sequence without k-mers is alike to its equals alone.

    All pairs above the threshold are found, without comparing all: of two such sets the smaller
    one has shared k-mers among its rarest ones (prefix filter, Chaudhuri et al. 2006), and
    sequences that are known to be in one cluster, from steps at higher thresholds, need not be
    compared.

    Args:
        tokens: `(n, T)`, as of `allocsearch.data.alphabet`.
        threshold: In (0, 1].

    Returns:
        `(n,)`, from 0; numbered in the order of the first sequence of each.

    Reference: Edgar (2004), "MUSCLE: a multiple sequence alignment method with reduced time and
    space complexity", BMC Bioinformatics 5:113.
    """
    distinct, place = np.unique(tokens, axis=0, return_inverse=True)
    sets = _sets(_kmers(distinct), threshold)
    clusters = np.arange(len(distinct))
    for one, other in _sorted_neighbours(distinct):
        clusters = _joined(sets, clusters, one, other)
    of_each = _searched(sets, clusters)[place.ravel()]
    _, first, inverse = np.unique(of_each, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.ravel()]


def _kmers(tokens: NDArray[np.uint8]) -> csr_matrix:
    """Which k-mers each sequence has, `(n, k-mers)` of ones; the rarest k-mers come first."""
    n, length = tokens.shape
    windows = max(0, length - K + 1)
    codes = np.zeros((n, windows), dtype=np.int32)
    known = np.ones((n, windows), dtype=bool)
    for i in range(K):
        part = tokens[:, i : i + windows]
        codes = codes * UNKNOWN + part
        known &= (part != PAD) & (part != UNKNOWN)
    indptr = np.concatenate(([0], np.cumsum(known.sum(1))))
    ones = np.ones(indptr[-1], dtype=np.int32)
    sets = csr_matrix((ones, codes[known], indptr), shape=(n, UNKNOWN**K))
    sets.sum_duplicates()
    order = np.argsort(np.bincount(sets.indices, minlength=sets.shape[1]), kind="stable")
    rank = np.argsort(order)
    ones = np.ones(sets.nnz, dtype=np.int32)
    sets = csr_matrix((ones, rank[sets.indices], sets.indptr), shape=sets.shape)
    sets.sort_indices()
    return sets


def _sets(kmers: csr_matrix, threshold: float) -> _Sets:
    n = kmers.shape[0]
    sizes = np.diff(kmers.indptr).astype(np.int64)
    # Not a whole one more for what is whole but for rounding.
    needed = np.maximum(1, np.ceil(threshold * sizes - 1e-9).astype(np.int64))
    width = 64 * max(1, -(-4 * int(sizes.max(initial=0)) // 64))
    bits = np.zeros((n, width), dtype=bool)
    bits[np.repeat(np.arange(n), sizes), kmers.indices % width] = True
    return _Sets(kmers, sizes, needed, np.packbits(bits, axis=1).view(np.uint64))


def _sorted_neighbours(tokens: NDArray[np.uint8]) -> Iterator[tuple[Integers, Integers]]:
    """Pairs that are likely alike: neighbours when sorted from different places on."""
    for start in range(0, tokens.shape[1], max(1, tokens.shape[1] // _SORTS)):
        rows = np.ascontiguousarray(np.roll(tokens, -start, axis=1))
        order = np.argsort(rows.view(f"V{rows.shape[1]}").ravel())
        for apart in (1, 2, 3):
            yield order[:-apart], order[apart:]


def _searched(sets: _Sets, clusters: Integers) -> Integers:
    """The clusters, joined wherever two have sequences that are alike."""
    # A larger set that is like it lacks at most `sizes - needed` of its k-mers.
    shared = np.minimum(sets.needed, _SHARED)
    heads = _heads(sets.kmers, sets.sizes - sets.needed + shared)
    # Each pair of different clusters has one that is not in the largest.
    outside = np.flatnonzero(clusters != np.bincount(clusters).argmax())
    for own, others in ((heads, sets.kmers), (sets.kmers, heads)):
        columns = others.T.tocsr()
        for rows in _blocks(own, columns, outside):
            hits = own[rows] @ columns
            one = np.repeat(rows, np.diff(hits.indptr))
            other = hits.indices
            least = shared[one if own is heads else other]
            apart = np.flatnonzero((hits.data >= least) & (clusters[one] != clusters[other]))
            clusters = _joined(sets, clusters, one[apart], other[apart])
    return clusters


def _joined(sets: _Sets, clusters: Integers, one: Integers, other: Integers) -> Integers:
    """The clusters, joined where the two sequences of a pair are alike."""
    n = len(clusters)
    for start in range(0, len(one), _CHUNK):
        first, second = one[start : start + _CHUNK], other[start : start + _CHUNK]
        apart = clusters[first] != clusters[second]
        first, second = first[apart], second[apart]
        smaller = sets.sizes[first] <= sets.sizes[second]
        small, large = np.where(smaller, first, second), np.where(smaller, second, first)
        # A bit of the one that the other has not is a k-mer that it has not.
        missing = np.bitwise_count(sets.bits[small] & ~sets.bits[large]).sum(1)
        likely = missing <= sets.sizes[small] - sets.needed[small]
        small, large = small[likely], large[likely]
        overlap = np.asarray(sets.kmers[small].multiply(sets.kmers[large]).sum(1)).ravel()
        alike = overlap >= sets.needed[small]
        if alike.any():
            links = clusters[small[alike]], clusters[large[alike]]
            graph = csr_matrix((np.ones(len(links[0]), dtype=bool), links), shape=(n, n))
            clusters = connected_components(graph, directed=False)[1][clusters]
    return clusters


def _heads(sets: csr_matrix, counts: Integers) -> csr_matrix:
    """Of each set its first, rarest k-mers."""
    rows = np.repeat(np.arange(sets.shape[0]), np.diff(sets.indptr))
    kept = np.arange(sets.nnz) - sets.indptr[rows] < counts[rows]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[kept], minlength=sets.shape[0]))))
    return csr_matrix((sets.data[kept], sets.indices[kept], indptr), shape=sets.shape)


def _blocks(own: csr_matrix, columns: csr_matrix, rows: Integers) -> Iterator[Integers]:
    """The rows in blocks whose products with the columns are of a bounded size."""
    cost = own[rows] @ np.diff(columns.indptr)
    block = np.cumsum(cost) // _BLOCK
    for part in np.unique(block):
        yield rows[block == part]
