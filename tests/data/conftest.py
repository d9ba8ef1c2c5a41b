from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request) -> None:
    """Tests see only the data that they make, unless they are marked to want the real thing."""
    if "real_roots" in request.fixturenames:
        return
    monkeypatch.delenv("ALLOCSEARCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("allocsearch.data.roots.SYSTEM_ROOT", tmp_path / "system")


@pytest.fixture
def real_roots() -> None:
    """Leaves the folders of data as the environment has them."""


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def write_idx() -> Callable[..., Path]:
    def write(path: Path, array: np.ndarray, code: int = 0x08) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = idx_bytes(array, code)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write


def png(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def write_zip() -> Callable[..., Path]:
    def write(path: Path, members: Mapping[str, np.ndarray | bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(
                    name, png(content) if isinstance(content, np.ndarray) else content
                )
        return path

    return write


@pytest.fixture
def write_folder() -> Callable[..., Path]:
    def write(folder: Path, members: Mapping[str, np.ndarray | bytes]) -> Path:
        for name, content in members.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(content) if isinstance(content, np.ndarray) else content)
        return folder

    return write


@pytest.fixture
def pictures() -> Callable[..., np.ndarray]:
    """Random images, uint8 `(n, *shape)`."""

    def make(n: int, *shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)

    return make
