"""The roles of data: what the search sees, and what only the final evaluation sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch

from allocsearch.config import DataSection, InputError, Shift, Source
from allocsearch.data.dataset import Dataset
from allocsearch.data.fitting import fit
from allocsearch.data.named_sets import NAMED_SETS
from allocsearch.data.seeding import generator
from allocsearch.data.shifts import SHIFT_FUNCTIONS
from allocsearch.data.sources import load_source
from allocsearch.data.standardisation import Standardiser

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
    """

    train: Dataset
    validation: Dataset
    ood_validation: tuple[Dataset, ...]
    scale: Standardiser | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the fingerprints of all the parts, in hexadecimal."""
        parts = (self.train, self.validation, *self.ood_validation)
        return hashlib.sha256("".join(part.fingerprint for part in parts).encode()).hexdigest()


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
    official test part, at most 5,000.

    Continuous values are standardised, all of them by the means and the standard deviations of
    the train part.

    Raises:
        InputError: If data is missing or broken, a size is impossible, or the same data is an
            OOD validation and an OOD test set.
    """
    _check_roles(config)
    dataset = _load_id(config, "train")
    sizes = _sizes(config, len(dataset), dataset.name)
    order = _permutation(config, "id", len(dataset))
    train = _train_part(dataset, order, sizes)
    scale = _scale(train)
    # Test from the front and validation from the back: neither moves when the other is resized.
    validation = _scaled(dataset.take(order[len(order) - sizes.validation :]), scale)
    ood = _ood_sets(config, "ood_validation", validation, scale)
    return SearchData(_scaled(train, scale), validation, ood, scale)


def load_test_data(config: DataSection) -> TestData:
    """Load the ID test part and the OOD test sets, by the rules of `load_search_data`.

    Raises:
        InputError: As `load_search_data`.
    """
    _check_roles(config)
    dataset = _load_id(config, "test")
    order = _permutation(config, "id", len(dataset))
    scale = None
    if _has_official_test(config.id):
        size = config.test_size or min(len(dataset), _HELD_OUT_MOST)
        if size > len(dataset):
            raise InputError(
                f"data.test_size: found {size}; allowed: at most {len(dataset)}, the official "
                f"test part of {dataset.name}"
            )
    else:
        sizes = _sizes(config, len(dataset), dataset.name)
        size, scale = sizes.test, _scale(_train_part(dataset, order, sizes))
    test = _scaled(dataset.take(order[:size]), scale)
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
    """Load a source; errors begin with the key that names it."""
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


def _train_part(dataset: Dataset, order: torch.Tensor, sizes: _Sizes) -> Dataset:
    return dataset.take(order[sizes.test : sizes.test + sizes.train])


def _scale(train: Dataset) -> Standardiser | None:
    """What continuous data is standardised by; None for pixels, which stay as they are."""
    return Standardiser.fit(train.values) if train.continuous else None


def _scaled(dataset: Dataset, scale: Standardiser | None) -> Dataset:
    if scale is None:
        return dataset
    return Dataset(dataset.name, scale(dataset.values), dataset.labels)


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
    most = config.ood_size or _HELD_OUT_MOST
    if len(dataset) > most:
        # Chosen before anything is done to them: resizing a large set takes memory.
        order = _permutation(config, f"ood {entry.title}", len(dataset))
        dataset = dataset.take(order[:most].sort().values)
    try:
        if isinstance(entry, Shift):
            source = generator(config.seed, "shift", entry.title)
            values = SHIFT_FUNCTIONS[entry.shift](dataset.values, entry.strength, source)
        else:
            _check_kind(dataset, held_out)
            fitted = fit(dataset.values, held_out.shape, entry.title)
            values = fitted if scale is None else scale(fitted)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    return Dataset(entry.title, values, dataset.labels)


def _check_kind(dataset: Dataset, held_out: Dataset) -> None:
    """Refuse continuous values beside pixels: they have no common scale."""
    if dataset.continuous != held_out.continuous:
        kinds = {True: "continuous values", False: "pixels"}
        raise InputError(
            f"{dataset.name}: found {kinds[dataset.continuous]}; allowed: "
            f"{kinds[held_out.continuous]}, which the ID data has"
        )


def _check_roles(config: DataSection) -> None:
    """Refuse data that is in both OOD roles: allocations would be chosen on what tests them."""
    for i, test in enumerate(config.ood_test):
        for validation in config.ood_validation:
            if not isinstance(test, Source) or not isinstance(validation, Source):
                continue
            same = (test.source, test.path, test.array) == (
                validation.source,
                validation.path,
                validation.array,
            )
            parts = {test.split, validation.split}
            apart = parts == {"train", "test"} or (
                test.classes is not None
                and validation.classes is not None
                and set(test.classes).isdisjoint(validation.classes)
            )
            if same and not apart:
                raise InputError(
                    f"data.ood_test.{i}: {test.title} is also in data.ood_validation; allowed: "
                    f"data that the search does not see (another set, `split` or `classes`)"
                )
