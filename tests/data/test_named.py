from __future__ import annotations

import os
import pickle
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torchvision import datasets

from allocsearch.config import InputError
from allocsearch.data.named import load_named
from allocsearch.data.named_sets import NAMED_SETS


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(path))
    return path


IDX_LAYOUTS = [
    ("MNIST", "MNIST/raw/{}-images-idx3-ubyte"),
    ("MNIST", "mnist/{}-images-idx3-ubyte.gz"),
    ("MNIST", "mnist-{}-images-idx3-ubyte.gz"),
    ("FashionMNIST", "FashionMNIST/raw/{}-images-idx3-ubyte"),
    ("FashionMNIST", "fashion-mnist/{}-images-idx3-ubyte.gz"),
    ("FashionMNIST", "fashion-mnist-{}-images-idx3-ubyte.gz"),
    ("KMNIST", "KMNIST/raw/{}-images-idx3-ubyte"),
    ("KMNIST", "kmnist/{}-images.idx3-ubyte"),
]


@pytest.mark.parametrize(("name", "layout"), IDX_LAYOUTS)
def test_idx_sets_are_found_in_every_usual_layout(root, write_idx, pictures, name, layout):
    train, test = pictures(4, 6, 5), pictures(3, 6, 5, seed=1)
    for part, images in (("train", train), ("t10k", test)):
        path = write_idx(root / layout.format(part), images)
        beside = path.name.replace("images", "labels").replace("idx3", "idx1")
        write_idx(path.with_name(beside), np.arange(len(images), dtype=np.uint8))
    for split, images in (("train", train), ("test", test), (None, np.concatenate([train, test]))):
        values, labels = load_named(name, split, allow_download=False)
        assert torch.equal(values, torch.from_numpy(images))
        assert labels is not None
        assert len(labels) == len(images)


def test_the_first_root_wins_and_no_split_takes_what_there_is(
    root, tmp_path, write_idx, pictures, monkeypatch
):
    monkeypatch.setenv("ALLOCSEARCH_DATA", os.pathsep.join([str(root), str(tmp_path / "b")]))
    x, y = pictures(3, 6, 5), pictures(3, 6, 5, seed=1)
    write_idx(tmp_path / "b" / "mnist-t10k-images-idx3-ubyte", y)
    assert torch.equal(load_named("MNIST", None, allow_download=False)[0], torch.from_numpy(y))
    write_idx(root / "mnist-t10k-images-idx3-ubyte", x)
    values, labels = load_named("MNIST", None, allow_download=False)
    assert torch.equal(values, torch.from_numpy(x))
    assert labels is None


def test_emnist_letters_are_turned_upright(root, write_idx, pictures):
    x = pictures(3, 6, 6)
    write_idx(root / "EMNIST" / "raw" / "emnist-letters-train-images-idx3-ubyte", x)
    values, _ = load_named("EMNIST", "train", allow_download=False)
    assert torch.equal(values, torch.from_numpy(x.transpose(0, 2, 1).copy()))


def test_both_small_omniglot_files_are_used_and_shared_images_count_once(
    root, write_zip, pictures
):
    x = pictures(3, 6, 6)
    for i, members in (
        (1, {"Greek/c/1.png": x[0], "Balinese/c/1.png": x[1]}),
        (2, {"Greek/c/1.png": x[0], "Tagalog/c/1.png": x[2]}),
    ):
        name = f"images_background_small{i}"
        write_zip(root / f"omniglot-{name}.zip", {f"{name}/{k}": v for k, v in members.items()})
    values, labels = load_named("Omniglot", None, allow_download=False)
    assert torch.equal(values, torch.from_numpy(x[[1, 0, 2]]))
    assert labels is not None
    assert labels.tolist() == [0, 1, 2]


def test_the_whole_omniglot_is_preferred_in_torchvisions_layout(root, write_zip, pictures):
    x = pictures(3, 6, 6)
    write_zip(root / "omniglot-images_background_small1.zip", {"s/a/c/1.png": x[0]})
    for part, image in (("background", x[1]), ("evaluation", x[2])):
        name = f"images_{part}"
        write_zip(root / "omniglot-py" / f"{name}.zip", {f"{name}/a/c/1.png": image})
    assert torch.equal(
        load_named("Omniglot", "train", allow_download=False)[0][0], torch.from_numpy(x[1])
    )
    assert torch.equal(
        load_named("Omniglot", "test", allow_download=False)[0][0], torch.from_numpy(x[2])
    )


def checksum(path: Path) -> str:
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_svhn_is_read_and_verified_by_torchvision(root, pictures, monkeypatch):
    x = pictures(3, 3, 32, 32)
    path = root / "test_32x32.mat"
    scipy.io.savemat(
        path, {"X": x.transpose(2, 3, 1, 0), "y": np.array([[10], [1], [9]], np.uint8)}
    )
    with pytest.raises(InputError, match=r"test_32x32.mat: not the official SVHN files"):
        load_named("SVHN", "test", allow_download=False)
    monkeypatch.setitem(datasets.SVHN.split_list, "test", ["", path.name, checksum(path)])
    values, labels = load_named("SVHN", None, allow_download=False)
    assert torch.equal(values, torch.from_numpy(x))
    assert labels.tolist() == [0, 1, 9]


def test_cifar10_never_unpickles_what_is_not_official(root, tmp_path):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    for name, _ in (*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list):
        (folder / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="not the official CIFAR10 files"):
        load_named("CIFAR10", "train", allow_download=False)
    assert not (tmp_path / "exploded").exists()


def test_cifar10_train_part_needs_nothing_of_the_test_part(root, pictures, monkeypatch):
    x = pictures(2, 3, 32, 32)
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(
        pickle.dumps({"data": x.reshape(2, -1), "labels": [3, 8]})
    )
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a"]}))
    (folder / "test_batch").write_bytes(b"poison")
    batch, meta = folder / "data_batch_1", folder / "batches.meta"
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[batch.name, checksum(batch)]])
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", checksum(meta))
    values, labels = load_named("CIFAR10", "train", allow_download=False)
    assert torch.equal(values, torch.from_numpy(x))
    assert labels.tolist() == [3, 8]
    with pytest.raises(InputError, match="not the official CIFAR10 files"):
        load_named("CIFAR10", "test", allow_download=False)


@pytest.mark.parametrize("name", sorted(NAMED_SETS))
@pytest.mark.parametrize("split", ["train", "test", None])
def test_missing_data_is_one_line_with_what_where_and_how(root, tmp_path, name, split):
    with pytest.raises(InputError) as error:
        load_named(name, split, allow_download=False)
    message = str(error.value)
    assert message.startswith(f"{name} ({split or 'train or test'} part) not found: looked for ")
    for place in (root, tmp_path / "system", tmp_path / "cache" / "allocsearch"):
        assert str(place) in message
    assert "--set data.download=true" in message
    assert "ALLOCSEARCH_DATA" in message
    assert ("apt-get install dataset-fashion-mnist" in message) == (name == "FashionMNIST")
    assert "\n" not in message


def test_a_broken_file_is_not_passed_over(root, write_idx, pictures):
    write_idx(root / "mnist" / "train-images-idx3-ubyte", pictures(3, 6, 5))
    broken = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"broken")
    with pytest.raises(InputError, match=str(broken)):
        load_named("MNIST", "train", allow_download=False)
