from __future__ import annotations

import numpy as np
import pytest
import torch

from allocsearch.config import SOURCES, InputError, Source
from allocsearch.data.sources import LOADERS, load_source

LABELS = np.array([4, 5, 4, 6], np.uint8)


def test_registry_has_the_names_of_study_files():
    assert set(LOADERS) == set(SOURCES)


def test_digits_load_without_any_file():
    dataset = load_source(Source(source="digits", name="mine"))
    assert (dataset.name, len(dataset), dataset.shape) == ("mine", 1797, (8, 8))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_with_labels(tmp_path, write_idx, pictures, ending):
    x = pictures(4, 6, 5)
    images = write_idx(tmp_path / f"x{ending}", x)
    labels = write_idx(tmp_path / f"y{ending}", LABELS)
    dataset = load_source(Source(source="idx", path=(str(images),), labels=str(labels)))
    assert torch.equal(dataset.values, torch.from_numpy(x))
    assert dataset.labels.tolist() == LABELS.tolist()
    assert load_source(Source(source="idx", path=(str(images),))).labels is None


def test_numpy_files_with_labels_in_the_archive_or_in_a_file(tmp_path, pictures, monkeypatch):
    x = pictures(4, 6, 5)
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=x, y=LABELS)
    np.save("a.npy", x / 255)
    np.save("y.npy", LABELS.astype(np.int64))
    for source in (
        Source(source="numpy", path=("a.npz",), array="x", labels="y"),
        Source(source="numpy", path=("a.npy",), labels="y.npy"),
    ):
        dataset = load_source(source)
        assert torch.equal(dataset.values, torch.from_numpy(x))
        assert dataset.labels.tolist() == LABELS.tolist()


def test_several_files_are_joined_in_their_order(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = pictures(4, 6, 5), pictures(3, 6, 5, seed=1)
    np.savez("a.npz", x=x, y=LABELS)
    np.savez("b.npz", x=y, y=LABELS[:3])
    source = Source(source="numpy", path=("a.npz", "b.npz"), array="x", labels="y")
    dataset = load_source(source)
    assert torch.equal(dataset.values, torch.from_numpy(np.concatenate([x, y])))
    assert dataset.labels.tolist() == [*LABELS, *LABELS[:3]]
    np.save("c.npy", pictures(2, 5, 5))
    np.save("d.npy", x)
    with pytest.raises(InputError, match=r"c.npy: found examples of shape \(5, 5\); d.npy has"):
        load_source(Source(source="numpy", path=("d.npy", "c.npy")))


def test_images(tmp_path, write_zip, pictures):
    x = pictures(2, 6, 5)
    path = write_zip(tmp_path / "a.zip", {"a/1.png": x[0], "b/1.png": x[1]})
    dataset = load_source(Source(source="images", path=(str(path),)))
    assert torch.equal(dataset.values, torch.from_numpy(x))
    assert dataset.labels.tolist() == [0, 1]


def test_invert_is_255_less(tmp_path, pictures):
    np.save(tmp_path / "a.npy", pictures(4, 6, 5))
    source = Source(source="numpy", path=(str(tmp_path / "a.npy"),))
    inverted = load_source(source.model_copy(update={"invert": True}))
    assert torch.equal(inverted.values, 255 - load_source(source).values)


def test_classes_keep_those_labels_in_order():
    whole = load_source(Source(source="digits"))
    some = load_source(Source(source="digits", classes=(7, 2)))
    keep = [i for i, label in enumerate(whole.labels.tolist()) if label in (2, 7)]
    assert torch.equal(some.values, whole.values[keep])
    assert set(some.labels.tolist()) == {2, 7}


def test_absent_classes_name_the_present_ones(tmp_path, pictures):
    with pytest.raises(InputError, match=r"classes: found \[11, 12\]; .* 0, 1, 2, .*9$"):
        load_source(Source(source="digits", classes=(12, 3, 11)))
    with pytest.raises(InputError, match="classes: found none"):
        load_source(Source(source="digits", classes=()))
    np.save(tmp_path / "a.npy", pictures(4, 6, 5))
    with pytest.raises(InputError, match="has no labels"):
        load_source(Source(source="numpy", path=(str(tmp_path / "a.npy"),), classes=(1,)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"source": "digits", "split": "test"}, "split: found 'test' for source 'digits'"),
        ({"source": "MNIST", "labels": "y"}, "labels: found 'y' for source 'MNIST'"),
        ({"source": "idx", "path": "a", "array": "x"}, "array: found 'x' for source 'idx'"),
    ],
)
def test_keys_of_other_sources_are_refused(entry, message):
    with pytest.raises(InputError, match=message):
        load_source(Source.model_validate(entry))


def test_a_relative_path_is_found_below_a_root(tmp_path, pictures, monkeypatch):
    np.save(tmp_path / "a.npy", pictures(4, 6, 5))
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(tmp_path))
    assert len(load_source(Source(source="numpy", path=("a.npy",)))) == 4
