"""Parts of a data set that take whole clusters."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def held_out_clusters(
    clusters: Tensor, validation: int, test: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """The examples of a validation and a test part, which are unions of clusters.

    Clusters are taken in random order, for the test part from the front and for the validation
    part from the back, so that neither moves when the other is resized while there are enough.
    The part of which less is there takes the next; a cluster for which it has no room is in
    neither, and larger ones than a part never are.

    Args:
        clusters: Of each example, int64 `(n,)`, from 0.
        validation: Examples of the part at most.
        test: Examples of the part at most.
        generator: Source of the order.

    Returns:
        Two int64 tensors of indices, validation and test, at most as long as asked.
    """
    sizes = torch.bincount(clusters)
    order = torch.randperm(len(sizes), generator=generator).tolist()
    room = {"validation": validation, "test": test}
    asked = dict(room)
    taken: dict[str, list[int]] = {"validation": [], "test": []}
    first, last = 0, len(order) - 1
    while first <= last and (open_parts := [part for part in room if room[part]]):
        part = max(open_parts, key=lambda each: room[each] / asked[each])
        if part == "test":
            cluster, first = order[first], first + 1
        else:
            cluster, last = order[last], last - 1
        size = int(sizes[cluster])
        if size <= room[part]:
            room[part] -= size
            taken[part].append(cluster)
    found = [torch.isin(clusters, torch.tensor(taken[part], dtype=torch.int64)) for part in room]
    in_validation, in_test = (each.nonzero().squeeze(1) for each in found)
    return in_validation, in_test
