from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

from allocsearch.config import InputError
from allocsearch.data.idx import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), kind=st.sampled_from(sorted(CODES)), ending=st.sampled_from(["", ".gz"]))
def test_reads_back_what_was_written(tmp_path, write_idx, data, kind, ending):
    shape = data.draw(arrays.array_shapes(max_dims=4, max_side=4))
    array = data.draw(arrays.arrays(np.dtype(kind), shape))
    path = write_idx(tmp_path / f"a-idx3-ubyte{ending}", array, CODES[kind])
    np.testing.assert_array_equal(read_idx(path), array)


def test_agrees_with_torchvision(tmp_path, write_idx, pictures):
    path = write_idx(tmp_path / "a", pictures(5, 4, 3))
    np.testing.assert_array_equal(read_idx(path), read_sn3_pascalvincent_tensor(str(path)))


def broken(content: bytes, kind: str) -> bytes:
    return {
        "png": b"\x89PNG\r\n\x1a\n" + content,
        "empty": b"",
        "short header": content[:7],
        "truncated": content[:-1],
        "overlong": content + b"\0",
        "truncated gzip": gzip.compress(content)[:-12],
        "damaged gzip": gzip.compress(content)[:-8] + b"12345678",
        "not gzip inside": gzip.compress(b"hello world"),
        "huge": b"\0\0\x08\x03" + b"\xff" * 12 + b"\1",
        "no dimensions": b"\0\0\x08\0",
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("png", "not an IDX file: found 89 50 4e 47"),
        ("empty", "not an IDX file: found nothing"),
        ("short header", "header ends after 7 bytes"),
        ("truncated", "truncated IDX file: found 47 bytes of values; its header says 48"),
        ("overlong", "overlong IDX file: found 49 bytes"),
        ("truncated gzip", "broken gzip file"),
        ("damaged gzip", "broken gzip file"),
        ("not gzip inside", "not an IDX file: found 68 65 6c 6c"),
        ("huge", "truncated IDX file"),
        ("no dimensions", "not an IDX file"),
    ],
)
def test_broken_files_are_one_line_with_the_name(tmp_path, write_idx, pictures, kind, message):
    path = write_idx(tmp_path / "a-idx3-ubyte", pictures(4, 4, 3))
    path.write_bytes(broken(path.read_bytes(), kind))
    with pytest.raises(InputError) as error:
        read_idx(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        read_idx(tmp_path)
