from __future__ import annotations

import numpy as np
import pytest

from allocsearch.config import InputError
from allocsearch.data.numpy_files import read_numpy


def test_reads_npy(tmp_path, pictures):
    np.save(tmp_path / "a.npy", pictures(3, 4, 4))
    np.testing.assert_array_equal(read_numpy(tmp_path / "a.npy", None), pictures(3, 4, 4))


def test_reads_the_named_or_only_array_of_npz(tmp_path, pictures):
    x, y = pictures(3, 4, 4), pictures(2, 4, 4, seed=1)
    np.savez_compressed(tmp_path / "two.npz", x=x, y=y)
    np.savez(tmp_path / "one.npz", x=x)
    np.testing.assert_array_equal(read_numpy(tmp_path / "two.npz", "y"), y)
    np.testing.assert_array_equal(read_numpy(tmp_path / "one.npz", None), x)


@pytest.mark.parametrize("key", [None, "z"])
def test_names_the_arrays_that_are_there(tmp_path, key):
    np.savez(tmp_path / "two.npz", x=np.zeros(1), y=np.zeros(1))
    with pytest.raises(InputError, match="found: x, y"):
        read_numpy(tmp_path / "two.npz", key)


def test_never_unpickles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="cannot be read as a NumPy file"):
            read_numpy(tmp_path / name, None)


@pytest.mark.parametrize(
    "kind", ["text", "empty", "truncated npy", "truncated npz", "damaged npz"]
)
def test_broken_files_are_one_line_with_the_name(tmp_path, pictures, kind):
    path = tmp_path / "a.npz"
    np.savez(path, x=pictures(3, 4, 4))
    content = path.read_bytes()
    np.save(tmp_path / "b.npy", pictures(3, 4, 4))
    damaged = bytearray(content)
    damaged[content.index(pictures(3, 4, 4).tobytes())] ^= 255
    path.write_bytes(
        {
            "text": b"1 2 3\n",
            "empty": b"",
            "truncated npy": (tmp_path / "b.npy").read_bytes()[:-5],
            "truncated npz": content[:-30],
            "damaged npz": bytes(damaged),
        }[kind]
    )
    with pytest.raises(InputError) as error:
        read_numpy(path, None)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_key_needs_npz(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1))
    with pytest.raises(InputError, match=r"'x' needs \.npz"):
        read_numpy(tmp_path / "a.npy", "x")


def test_members_of_an_archive_that_are_no_arrays_do_not_count(tmp_path, write_zip):
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": b"" for i in range(99)})
    for key in (None, "1.png"):
        with pytest.raises(InputError, match=r"found: none$"):
            read_numpy(path, key)


def test_long_lists_of_arrays_are_cut(tmp_path):
    np.savez(tmp_path / "a.npz", **{f"x{i:02}": np.zeros(1) for i in range(99)})
    with pytest.raises(InputError, match=r"found: x00, .* x19, \.\.\.$"):
        read_numpy(tmp_path / "a.npz", None)
