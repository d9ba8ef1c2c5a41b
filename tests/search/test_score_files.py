from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from allocsearch.config import InputError
from allocsearch.search.evaluation.final_scores import load_scores, save_scores, scores_path
from allocsearch.search.score_files import read_scores, write_scores

TABLES = {
    "validation": {"kl_1": np.array([1.5, -2.0]), "llr_1": np.array([0.25, 3.0])},
    "a.b/c": {"kl_1": np.array([7.0]), "llr_1": np.array([8.0])},
}


def test_what_is_written_is_read_back_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "trials" / "3" / "scores.npz"
    write_scores(path, TABLES)
    found = read_scores(path, "kl_1", ["a.b/c", "validation"])
    assert [*found] == ["a.b/c", "validation"]
    for name, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, TABLES[name]["kl_1"])


def written(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    return content.getvalue()


def archive(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("validation.kl_1.npy", content)
    return made.getvalue()


def array(header: str) -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode()


def one_array() -> bytes:
    content = io.BytesIO()
    np.save(content, np.ones(3, np.float32))
    return content.getvalue()


def with_bits(whole: bytes, place: int, bits: int) -> bytes:
    """The archive with something set in the header of each file, here and in the directory."""
    changed = bytearray(whole)
    for mark, offset in ((b"PK\3\4", place), (b"PK\1\2", place + 2)):
        start = changed.find(mark)
        while start >= 0:
            changed[start + offset] |= bits
            start = changed.find(mark, start + 4)
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: None, "cannot be read as scores: "),
        (lambda whole: b"", "cannot be read as scores: "),
        (lambda whole: b"no archive", "cannot be read as scores: "),
        (lambda whole: whole[:-40], "cannot be read as scores: "),
        (lambda whole: whole.replace(b"kl_1", b"kl_9"), "no 'validation.kl_1' in it"),
        (lambda whole: written(**{"validation.kl_1": np.array([{}])}), "cannot be read as scores"),
        (lambda whole: written(**{"validation.kl_1": np.ones(3)}), "found float64 of shape (3,)"),
        (lambda whole: written(**{"validation.kl_1": np.float32(1)}), "found float32 of shape ()"),
        (lambda whole: written(**{"validation.kl_1": np.ones(0, np.float32)}), "of shape (0,)"),
        (lambda whole: written(**{"validation.kl_1": np.float32([np.nan])}), "allowed: finite"),
        (lambda whole: one_array(), "cannot be read as scores: File is not a zip file"),
        (lambda whole: archive(b"text"), "cannot be read as scores: "),
        (lambda whole: archive(array("((")), "cannot be read as scores: "),
        (
            lambda whole: archive(
                array("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,)}")
            ),
            "cannot be read as scores: Unable to allocate",
        ),
        (lambda whole: archive(bytes((1 << 28) + 1)), "268,435,457 bytes; allowed: 268,435,456"),
        (lambda whole: with_bits(whole, 6, 1), "is encrypted"),
        (lambda whole: with_bits(whole, 8, 99), "compression method is not supported"),
    ],
)
def test_another_file_is_one_line(
    tmp_path: Path, damage: Callable[[bytes], bytes | None], said: str
) -> None:
    path = tmp_path / "scores.npz"
    write_scores(path, TABLES)
    content = damage(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as told:
        read_scores(path, "kl_1", ["validation"])
    assert said in str(told.value)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


def test_scores_of_several_models_are_stacked_if_they_are_of_the_same_examples(
    tmp_path: Path,
) -> None:
    paths = [scores_path(tmp_path, "4-2", seed) for seed in (1, 2, 3)]
    for seed, path in enumerate(paths, 1):
        of_id = {"kl_1": np.arange(4 if seed < 3 else 5) + seed}
        save_scores(of_id, {"id": {"kl_1": np.array([9.0 * seed])}}, path)
    of_id, of_ood = load_scores(paths[:2], "kl_1", ["id"])
    assert of_id.tolist() == [[1, 2, 3, 4], [2, 3, 4, 5]]
    assert of_ood["id"].tolist() == [[9], [18]]
    with pytest.raises(InputError, match=r"4-2-3\.npz: scores of other examples than in .*4-2-1"):
        load_scores(paths, "kl_1", ["id"])
