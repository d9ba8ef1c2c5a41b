"""The named data sets: the layouts in which their files lie, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from allocsearch.config import InputError
from allocsearch.data.idx import read_idx
from allocsearch.data.image_files import list_images, read_images
from allocsearch.data.pixels import to_labels, to_values

Part = Literal["train", "test"]
Layout = tuple[str, ...]


@dataclass(frozen=True)
class NamedSet:
    """A data set with an official train and an official test part.

    Args:
        layouts: For a part, the layouts in which it may lie below a root, the preferred first;
            each is one relative path, or several of which all that exist are used together.
        read: Files of one layout and the part -> values `(n, *shape)` and labels `(n,)`.
        fetch: Downloads a part into a folder, by torchvision.
        keep: Pattern of the downloaded files that `layouts` finds again.
        package: The Debian package that has it, where there is one.
    """

    layouts: Callable[[Part], tuple[Layout, ...]]
    read: Callable[[tuple[Path, ...], Part], tuple[Tensor, Tensor | None]]
    fetch: Callable[[Path, Part], object]
    keep: str
    package: str | None = None


def _idx_layouts(name: str, *folders: str) -> Callable[[Part], tuple[Layout, ...]]:
    """The layout of torchvision, a folder of the set (as Debian's), and flat files."""

    def layouts(part: Part) -> tuple[Layout, ...]:
        short = "train" if part == "train" else "t10k"
        bases = [
            f"{name}/raw/{short}-images",
            *(f"{folder}/{short}-images" for folder in (*folders, name)),
            *(f"{folder}-{short}-images" for folder in (*folders, name)),
        ]
        return _idx_endings(bases)

    return layouts


def _emnist_layouts(part: Part) -> tuple[Layout, ...]:
    file = f"emnist-letters-{part}-images"
    return _idx_endings([f"EMNIST/raw/{file}", f"emnist/{file}", f"gzip/{file}", file])


def _idx_endings(bases: list[str]) -> tuple[Layout, ...]:
    endings = ("-idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte", ".idx3-ubyte.gz")
    return tuple((base + ending,) for base in bases for ending in endings)


def _read_idx_pair(paths: tuple[Path, ...], part: Part) -> tuple[Tensor, Tensor | None]:
    """Images, and labels where their file lies beside."""
    (images,) = paths
    values = to_values(read_idx(images), str(images))
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    # The two files of a pair need not both be gzipped.
    for beside in (name, name.removesuffix(".gz"), f"{name}.gz"):
        path = images.with_name(beside)
        if path.is_file():
            return values, to_labels(read_idx(path), len(values), str(path))
    return values, None


def _read_emnist(paths: tuple[Path, ...], part: Part) -> tuple[Tensor, Tensor | None]:
    # Its files hold every image transposed.
    values, labels = _read_idx_pair(paths, part)
    return values.transpose(1, 2).contiguous(), labels


def _omniglot_layouts(part: Part) -> tuple[Layout, ...]:
    name = "images_background" if part == "train" else "images_evaluation"
    places = ("omniglot-py/{}", "{}", "omniglot-{}", "omniglot/{}", "Omniglot/{}")
    whole = [(place.format(name) + ending,) for place in places for ending in (".zip", "")]
    if part == "test":
        return tuple(whole)
    halves = [
        tuple(place.format(f"{name}_small{i}") + ending for i in (1, 2))
        for place in places
        for ending in (".zip", "")
    ]
    return (*whole, *halves)


def _read_omniglot(paths: tuple[Path, ...], part: Part) -> tuple[Tensor, Tensor | None]:
    # The two small background sets share alphabets; each image counts once.
    files = {file.key: file for file in list_images(paths)}
    return read_images([files[key] for key in sorted(files, key=lambda key: key.parts)])


def _read_svhn(paths: tuple[Path, ...], part: Part) -> tuple[Tensor, Tensor | None]:
    (path,) = paths
    content = _verified("SVHN", path, lambda: _torchvision("SVHN")(path.parent, split=part))
    return to_values(content.data, str(path)), torch.from_numpy(content.labels).long()


def _read_cifar10(paths: tuple[Path, ...], part: Part) -> tuple[Tensor, Tensor | None]:
    # torchvision checks and reads all batches; of the other part not even a checksum is wanted.
    other: dict[str, Any] = {"test_list": []} if part == "train" else {"train_list": []}
    (path,) = paths
    reader = type("CIFAR10Part", (_torchvision("CIFAR10"),), other)
    content = _verified("CIFAR10", path, lambda: reader(path.parent, train=part == "train"))
    return to_values(content.data, str(path)), torch.tensor(content.targets)


def _verified(name: str, path: Path, read: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What torchvision reads after it has compared the checksums."""
    try:
        return read()
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).split("\n")[0].split(". You can")[0]
        raise InputError(f"{path}: not the official {name} files: {reason}") from None


def _torchvision(name: str) -> Any:  # noqa: ANN401
    """A class of torchvision's data sets; the import takes seconds and is often not needed."""
    from torchvision import datasets

    return getattr(datasets, name)


def _by_train(name: str, **options: str) -> Callable[[Path, Part], object]:
    """Download with a torchvision class that tells the parts apart by `train`."""
    return lambda folder, part: _torchvision(name)(
        folder, train=part == "train", download=True, **options
    )


NAMED_SETS: Mapping[str, NamedSet] = {
    "MNIST": NamedSet(
        _idx_layouts("MNIST", "mnist"),
        _read_idx_pair,
        _by_train("MNIST"),
        "MNIST/raw/*-ubyte",
    ),
    "FashionMNIST": NamedSet(
        _idx_layouts("FashionMNIST", "fashion-mnist", "fashion_mnist", "fashionmnist"),
        _read_idx_pair,
        _by_train("FashionMNIST"),
        "FashionMNIST/raw/*-ubyte",
        package="dataset-fashion-mnist",
    ),
    "KMNIST": NamedSet(
        _idx_layouts("KMNIST", "kmnist"),
        _read_idx_pair,
        _by_train("KMNIST"),
        "KMNIST/raw/*-ubyte",
    ),
    "EMNIST": NamedSet(
        _emnist_layouts,
        _read_emnist,
        _by_train("EMNIST", split="letters"),
        "EMNIST/raw/emnist-letters-*-ubyte",
    ),
    "Omniglot": NamedSet(
        _omniglot_layouts,
        _read_omniglot,
        lambda folder, part: _torchvision("Omniglot")(
            folder, background=part == "train", download=True
        ),
        "omniglot-py/*.zip",
    ),
    "SVHN": NamedSet(
        lambda part: tuple((f"{place}{part}_32x32.mat",) for place in ("", "SVHN/", "svhn/")),
        _read_svhn,
        lambda folder, part: _torchvision("SVHN")(folder, split=part, download=True),
        "*_32x32.mat",
    ),
    "CIFAR10": NamedSet(
        lambda part: tuple(
            (f"{place}cifar-10-batches-py",) for place in ("", "CIFAR10/", "cifar10/")
        ),
        _read_cifar10,
        _by_train("CIFAR10"),
        "cifar-10-batches-py/*",
    ),
}
