"""The roles of data: what the search sees, and what only the final evaluation sees."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from allocsearch.config import DataSection, EvaluationSection, InputError, Shift, Source
from allocsearch.data.clustered import held_out_clusters
from allocsearch.data.dataset import Dataset
from allocsearch.data.fitting import fit
from allocsearch.data.named_sets import NAMED_SETS
from allocsearch.data.roots import find_path
from allocsearch.data.seeding import generator
from allocsearch.data.shifts import shifted
from allocsearch.data.sources import load_source
from allocsearch.data.standardisation import Standardiser

_log = logging.getLogger(__name__)

_HELD_OUT_SHARE = 0.15
_HELD_OUT_MOST = 5_000


@dataclass(frozen=True)
class SearchData:
    """All that training and search may see.

    Args:
        train: ID examples that models are fitted to.
        validation: Other ID examples, on which everything is measured.
        ood_validation: OOD sets that drive the search, in the shape of the ID examples.
        scale: What continuous values were standardised by; None for pixels.
        probe_set: The set of `data.probe`, in the shape of the ID examples, where there is one.
    """

    train: Dataset
    validation: Dataset
    ood_validation: tuple[Dataset, ...]
    scale: Standardiser | None = None
    probe_set: Dataset | None = None

    @property
    def probed(self) -> Dataset:
        """What a probe is of: its own set, or the validation part."""
        return self.validation if self.probe_set is None else self.probe_set

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the fingerprints of all the parts, in hexadecimal."""
        parts = (self.train, self.validation, *self.ood_validation)
        if self.probe_set is not None:
            parts = (*parts, self.probe_set)
        return hashlib.sha256("".join(part.fingerprint for part in parts).encode()).hexdigest()

    def fingerprint_for(self, evaluation: EvaluationSection) -> str:
        """All that a measurement depends on: with a probe also the classes that it tells apart."""
        if evaluation.probe is None:
            return self.fingerprint
        return hashlib.sha256(
            f"{self.fingerprint}{self.probed.labels_fingerprint}".encode()
        ).hexdigest()


@dataclass(frozen=True)
class TestData:
    """What only the final evaluation of chosen allocations may see.

    Args:
        test: ID examples that are neither in the train nor in the validation part.
        ood_test: OOD sets, in the shape of the ID examples.
    """

    test: Dataset
    ood_test: tuple[Dataset, ...]


def load_search_data(config: DataSection) -> SearchData:
    """Load the ID train and validation parts and the OOD validation sets; no test data.

    Where the ID source has an official test part and no `split` is set, train and validation are
    disjoint parts of the official train part; otherwise train, validation and test are of the
    whole. Parts are drawn with `config.seed`. Sizes that are not set: validation and test 15 %
    each (of the examples that are split), at most 5,000; train the rest; an OOD set, and the
    official test part, at most 5,000; a probe set, too.

    Continuous values are standardised, all of them by the means and the standard deviations of
    the train part.

    With `identity`, validation and test are unions of clusters of sequences, at most as large as
    asked; a cluster that is larger than a part is in train. All parts and the probe set know their
    clusters.

    Raises:
        InputError: If data is missing or broken, a size is impossible, or the same data is an
            OOD test set and an OOD validation or the probe set, or ID data and the probe set.
    """
    _check_roles(config)
    dataset = _clustered(config, _load_id(config, "train"))
    parts = _parts(config, dataset)
    train = dataset.take(parts.train)
    scale = _scale(train)
    validation = _scaled(dataset.take(parts.validation), scale)
    ood = _ood_sets(config, "ood_validation", validation, scale)
    probe = _probe_set(config, validation, scale)
    return SearchData(_scaled(train, scale), validation, ood, scale, probe)


def load_test_data(config: DataSection) -> TestData:
    """Load the ID test part and the OOD test sets, by the rules of `load_search_data`.

    Raises:
        InputError: As `load_search_data`.
    """
    _check_roles(config)
    dataset = _clustered(config, _load_id(config, "test"))
    scale = None
    if _has_official_test(config.id):
        size = config.test_size or min(len(dataset), _HELD_OUT_MOST)
        if size > len(dataset):
            raise InputError(
                f"data.test_size: found {size}; allowed: at most {len(dataset)}, the official "
                f"test part of {dataset.name}"
            )
        chosen = _permutation(config, "id", len(dataset))[:size]
    else:
        parts = _parts(config, dataset)
        chosen, scale = parts.test, _scale(dataset.take(parts.train))
    test = _scaled(dataset.take(chosen), scale)
    return TestData(test, _ood_sets(config, "ood_test", test, scale))


def _has_official_test(source: Source) -> bool:
    return source.source in NAMED_SETS and source.split is None


def _load_id(config: DataSection, part: str) -> Dataset:
    """The ID examples that the part is taken from."""
    source = config.id
    if _has_official_test(source):
        source = source.model_copy(update={"split": part})
    return _load("data.id", source, config)


def _load(key: str, source: Source, config: DataSection) -> Dataset:
    """Load a source, in the length of the ID data; errors begin with the key that names it."""
    if source.source == "fasta" and source.length is None:
        source = source.model_copy(update={"length": config.id.length})
    try:
        return load_source(source, allow_download=config.download)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _permutation(config: DataSection, purpose: str, n: int) -> torch.Tensor:
    return torch.randperm(n, generator=generator(config.seed, "permutation", purpose))


@dataclass(frozen=True)
class _Sizes:
    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class _Parts:
    """Places of the examples of each part, int64."""

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor


def _parts(config: DataSection, dataset: Dataset) -> _Parts:
    """The parts that the examples of a set are split into."""
    sizes = _sizes(config, len(dataset), dataset.name)
    order = _permutation(config, "id", len(dataset))
    if dataset.clusters is None:
        # Test from the front and validation from the back: neither moves when the other is
        # resized.
        validation = order[len(order) - sizes.validation :]
        return _Parts(
            order[sizes.test : sizes.test + sizes.train], validation, order[: sizes.test]
        )
    source = generator(config.seed, "clusters")
    validation, test = held_out_clusters(dataset.clusters, sizes.validation, sizes.test, source)
    left = order[~torch.isin(order, torch.cat((validation, test)))]
    train = left if config.train_size is None else left[: config.train_size]
    if min(len(train), len(validation), len(test)) < 2:
        raise InputError(
            f"data.identity: found {config.identity}, at which the largest cluster of "
            f"{dataset.name} has {int(torch.bincount(dataset.clusters).max())} of {len(dataset)} "
            f"sequences, and {len(validation)} are left for validation, {len(test)} for test; "
            f"allowed: a higher identity, or parts of other sizes"
        )
    for part, found, asked in (
        ("validation", len(validation), sizes.validation),
        ("test", len(test), sizes.test),
    ):
        if found < asked:
            _log.warning(
                "%s: %d instead of %d examples for %s: other clusters of identity %g are larger",
                dataset.name,
                found,
                asked,
                part,
                config.identity,
            )
    return _Parts(train, validation, test)


def _clustered(config: DataSection, dataset: Dataset) -> Dataset:
    """A set with the clusters of its sequences, where `identity` is set."""
    if config.identity is None:
        return dataset
    tokens = dataset.values.numpy().tobytes()
    return replace(dataset, clusters=_clusters(tokens, dataset.shape[0], config.identity))


# Of some seconds, and a process that evaluates splits the same set twice.
@lru_cache(maxsize=2)
def _clusters(tokens: bytes, length: int, identity: float) -> torch.Tensor:
    # Its imports are for those alone who have sequences.
    from allocsearch.data.identity import identity_clusters

    rows = np.frombuffer(tokens, dtype=np.uint8).reshape(-1, length)
    return torch.from_numpy(identity_clusters(rows, identity))


def _scale(train: Dataset) -> Standardiser | None:
    """What continuous data is standardised by; None for pixels, which stay as they are."""
    return Standardiser.fit(train.values) if train.continuous else None


def _scaled(dataset: Dataset, scale: Standardiser | None) -> Dataset:
    if scale is None:
        return dataset
    return replace(dataset, values=scale(dataset.values))


def _sizes(config: DataSection, n: int, name: str) -> _Sizes:
    """The sizes of the parts of `n` examples; test 0 where the test part is an official one."""
    default = min(_HELD_OUT_MOST, max(2, round(_HELD_OUT_SHARE * n)))
    validation = config.validation_size or default
    test = 0 if _has_official_test(config.id) else config.test_size or default
    train = config.train_size or n - validation - test
    if train < 2 or train + validation + test > n:
        raise InputError(_impossible(config, n, name, validation, test))
    return _Sizes(train, validation, test)


def _impossible(config: DataSection, n: int, name: str, validation: int, test: int) -> str:
    """What is wrong with sizes that do not fit; the first one that was set is to blame."""
    sizes = {"train_size": config.train_size or 2, "validation_size": validation}
    if test:
        sizes["test_size"] = test
    blamed = next((key for key in sizes if getattr(config, key) is not None), None)
    if blamed is None:
        return f"data.id: found {n} examples in {name}; allowed: at least {2 * len(sizes)}"
    limit = n - sum(size for key, size in sizes.items() if key != blamed)
    allowed = f"at most {limit}" if limit >= 2 else "less of each"
    others = ", ".join(f"{key} {size}" for key, size in sizes.items() if key != blamed)
    return (
        f"data.{blamed}: found {getattr(config, blamed)}; allowed: {allowed}, as {name} has {n} "
        f"examples to split, with {others}"
    )


def _ood_sets(
    config: DataSection, role: str, held_out: Dataset, scale: Standardiser | None
) -> tuple[Dataset, ...]:
    """The OOD sets of a role; its shifts are of the ID examples held out for that role."""
    entries = getattr(config, role)
    return tuple(
        _ood_set(config, f"data.{role}.{i}", entry, held_out, scale)
        for i, entry in enumerate(entries)
    )


def _ood_set(
    config: DataSection,
    key: str,
    entry: Source | Shift,
    held_out: Dataset,
    scale: Standardiser | None,
) -> Dataset:
    dataset = held_out if isinstance(entry, Shift) else _load(key, entry, config)
    # Chosen before anything is done to them: resizing a large set takes memory.
    most = config.ood_size or _HELD_OUT_MOST
    dataset = _drawn(config, f"ood {entry.title}", dataset, most)
    if isinstance(entry, Source):
        return _fitted(key, entry.title, dataset, held_out, scale)
    source = generator(config.seed, "shift", entry.title)
    try:
        values = shifted(entry.shift, dataset.values, entry.strength, source, dataset.kind)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    return replace(dataset, name=entry.title, values=values)


def _probe_set(
    config: DataSection, held_out: Dataset, scale: Standardiser | None
) -> Dataset | None:
    """The labelled set of `data.probe`, at most so many examples of it, drawn at random."""
    if config.probe is None:
        return None
    dataset = _load("data.probe", config.probe, config)
    if dataset.labels is None:
        raise InputError(f"data.probe: {dataset.name} has no labels; allowed: a set with classes")
    dataset = _drawn(config, "probe", dataset, _HELD_OUT_MOST)
    return _clustered(config, _fitted("data.probe", config.probe.title, dataset, held_out, scale))


def _drawn(config: DataSection, purpose: str, dataset: Dataset, most: int) -> Dataset:
    """At most so many examples, drawn at random, in the order that they had."""
    if len(dataset) <= most:
        return dataset
    order = _permutation(config, purpose, len(dataset))
    return dataset.take(order[:most].sort().values)


def _fitted(
    key: str, title: str, dataset: Dataset, held_out: Dataset, scale: Standardiser | None
) -> Dataset:
    """A set under its title, in the shape and on the scale of the ID examples."""
    try:
        _check_kind(dataset, held_out)
        values = fit(dataset.values, held_out.shape, title)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    return _scaled(replace(dataset, name=title, values=values), scale)


def _check_kind(dataset: Dataset, held_out: Dataset) -> None:
    """Refuse values of another kind than the ID data: they have no common scale."""
    if dataset.kind != held_out.kind:
        kinds = {"continuous": "continuous values"}
        raise InputError(
            f"{dataset.name}: found {kinds.get(dataset.kind, dataset.kind)}; allowed: "
            f"{kinds.get(held_out.kind, held_out.kind)}, which the ID data has"
        )


def _check_roles(config: DataSection) -> None:
    """Refuse data in two roles: allocations would be chosen on what tests them, or trained on it.

    What a probe tells of allocations is of no use for data that the models have been fitted to,
    and ID data is not out of distribution; inverted it may be.
    """
    probe = config.probe
    for i, test in enumerate(config.ood_test):
        if not isinstance(test, Source):
            continue
        searched = [entry for entry in config.ood_validation if isinstance(entry, Source)]
        roles = {"data.ood_validation": searched, "data.probe": [probe] if probe else []}
        for role, entries in roles.items():
            if any(_overlap(test, entry) for entry in entries):
                raise InputError(
                    f"data.ood_test.{i}: {test.title} is also in {role}; allowed: "
                    f"data that the search does not see (another set, `split` or `classes`)"
                )
    if probe is not None and _overlap(config.id, probe):
        raise InputError(
            f"data.probe: {probe.title} is also in data.id; allowed: another set, `split` or "
            f"`classes`, or no data.probe, which takes the ID validation part"
        )
    for role in ("ood_validation", "ood_test"):
        for i, entry in enumerate(getattr(config, role)):
            if not isinstance(entry, Source) or entry.invert != config.id.invert:
                continue
            if _overlap(config.id, entry):
                raise InputError(
                    f"data.{role}.{i}: {entry.title} has examples of data.id; allowed: another "
                    f"set, or other `classes`, stated for both"
                )


def _overlap(one: Source, other: Source) -> bool:
    """Whether two entries may have an example in common."""
    files = one.path == other.path or not _files(one).isdisjoint(_files(other))
    same = (one.source, one.array) == (other.source, other.array) and files
    apart = {one.split, other.split} == {"train", "test"} or (
        one.classes is not None
        and other.classes is not None
        and one.labels == other.labels
        and set(one.classes).isdisjoint(other.classes)
    )
    return same and not apart


def _files(source: Source) -> set[Path]:
    """The files of an entry, however they are written; one that is nowhere is refused later."""
    found = set()
    for path in source.path:
        try:
            found.add(find_path(path).resolve())
        except InputError:
            found.add(Path(path))
    return found
