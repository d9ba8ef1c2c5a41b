from __future__ import annotations

import gzip
import struct
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from allocsearch.config import InputError
from allocsearch.data.digits import read_digits
from allocsearch.data.streams import open_stream


def pictures(n, *shape):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def taken(stream, size):
    return [np.asarray(block) for block in stream.blocks(size)]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64, ">f4"])
@pytest.mark.parametrize("ending", ["npy", "npz", "compressed"])
def test_numpy_files_in_blocks_are_the_array(tmp_path, ending, dtype, order):
    array = np.asarray(pictures(11, 3, 4), dtype, order=order)
    path = tmp_path / ("x.npy" if ending == "npy" else "x.npz")
    save = {"npy": np.save, "npz": np.savez, "compressed": np.savez_compressed}[ending]
    save(path, array)
    for size in (1, 4, 11, 50):
        stream = open_stream(str(path))
        blocks = taken(stream, size)
        assert stream.count == 11
        assert stream.files is None
        assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
        assert np.array_equal(np.concatenate(blocks), array)


def test_one_of_several_arrays(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=pictures(3, 2, 2), b=pictures(5, 2, 2))
    assert open_stream(f"{path}:b").count == open_stream(str(path), array="b").count == 5
    for text, array, message in (
        (str(path), None, "set `array` to one of its arrays; found: a, b"),
        (f"{path}:c", None, "no array 'c'; found: a, b"),
        (f"{path}:a", "b", "allowed: one of the two"),
    ):
        with pytest.raises(InputError, match=message):
            open_stream(text, array)


def test_broken_numpy_files(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, pictures(10, 4, 4))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    stream = open_stream(str(path))
    with pytest.raises(InputError, match=r"x\.npy: cannot be read: it ends in example 8"):
        taken(stream, 4)
    for content in (b"", b"text", whole[:20], b"PK\x03\x04broken"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.npy: "):
            taken(open_stream(str(path)), 4)
    np.save(path, np.array([{}, 1]), allow_pickle=True)
    with pytest.raises(InputError, match="found Python objects"):
        open_stream(str(path))
    np.save(path, np.float32(1))
    with pytest.raises(InputError, match="single number"):
        open_stream(str(path))


def write_images(folder, arrays):
    for i, array in enumerate(arrays):
        path = folder / f"{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)


@pytest.mark.parametrize("packed", [False, True])
def test_images_keep_their_own_size_and_colours(tmp_path, packed):
    arrays = [*pictures(3, 5, 4), *pictures(2, 6, 7, 3)]
    write_images(tmp_path / "x", arrays)
    source = tmp_path / "x"
    if packed:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path in source.rglob("*.png"):
                archive.write(path, path.relative_to(source))
        source = tmp_path / "x.zip"
    stream = open_stream(str(source))
    order = [0, 2, 4, 1, 3]
    assert [file.member for file in stream.files] == [f"{i % 2}/{i}.png" for i in order]
    blocks = list(stream.blocks(2))
    assert [len(block) for block in blocks] == [2, 2, 1]
    for found, i in zip([image for block in blocks for image in block], order, strict=True):
        expected = arrays[i] if arrays[i].ndim == 2 else arrays[i].transpose(2, 0, 1)
        assert np.array_equal(found, expected)


def test_images_are_not_read_before_they_are_taken(tmp_path):
    write_images(tmp_path / "x", pictures(4, 3, 3))
    (tmp_path / "x" / "1" / "3.png").write_bytes(b"no image")
    blocks = open_stream(str(tmp_path / "x")).blocks(2)
    assert len(next(blocks)) == 2
    with pytest.raises(InputError, match=r"1/3\.png: not an image"):
        next(blocks)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte", "x.idx"])
def test_idx_files(tmp_path, name):
    array = pictures(7, 3, 4)
    content = b"\0\0\x08\x03" + struct.pack(">3I", *array.shape) + array.tobytes()
    packed = gzip.compress(content) if name.endswith(".gz") else content
    (tmp_path / name).write_bytes(packed)
    assert np.array_equal(np.concatenate(taken(open_stream(str(tmp_path / name)), 3)), array)


def test_named_sets():
    stream = open_stream("digits")
    values = torch.cat(list(stream.blocks(500)))
    assert stream.count == len(values)
    assert torch.equal(values, read_digits()[0])


@pytest.mark.parametrize("ending", ["fasta", "fa.gz"])
def test_records_of_a_fasta_file_have_their_own_length_and_name(tmp_path, ending):
    pytest.importorskip("Bio")
    content = b">one family=a\nACD\n>two\nY\n>three\nAX\nW\n"
    path = tmp_path / f"x.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    stream = open_stream(str(path))
    assert (stream.count, stream.names) == (3, ["one", "two", "three"])
    blocks = list(stream.blocks(2))
    assert [[row.tolist() for row in block] for block in blocks] == [
        [[1, 2, 3], [20]],
        [[1, 21, 19]],
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("digit", {}, r"digit: no such file or folder .*Did you mean digits\?"),
        ("digits", {"split": "train"}, "--split: .* which has no official parts"),
        ("MNIST", {"split": "both"}, "--split: found 'both'; allowed: train, test"),
        ("digits", {"array": "x"}, "--array: .* allowed only for .npz"),
        ("x.npy", {"split": "test"}, "--split: .* allowed only for a named set"),
        ("x.npy", {"array": "a"}, "'a' needs .npz"),
        (
            "x.txt",
            {},
            r"unknown kind; .* FASTA \(.fasta, .fa, .faa, .fas, also .gz\), an IDX file",
        ),
        ("x.png", {"array": "a"}, "--array: .* allowed only for .npz"),
        ("empty", {}, "no images in it"),
    ],
)
def test_what_cannot_be_used(tmp_path, monkeypatch, text, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", pictures(2, 3))
    (tmp_path / "x.txt").write_text("x")
    Image.fromarray(pictures(3, 4)).save("x.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message) as refused:
        open_stream(text, **arguments)
    assert "\n" not in str(refused.value)
