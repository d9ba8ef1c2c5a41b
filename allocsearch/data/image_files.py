"""Folders and zip archives of image files."""

from __future__ import annotations

import io
import logging
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from allocsearch.config import InputError

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)

_log = logging.getLogger(__name__)
_GREY = frozenset(("1", "L", "LA", "La"))
_BROKEN_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_BROKEN_MEMBER = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError)


@dataclass(frozen=True)
class ImageFile:
    """An image in a folder or in an archive.

    Args:
        container: The folder or the .zip file.
        member: Where the image lies in it.
        key: The same, without a top folder that all images of an archive share.
    """

    container: Path
    member: str
    key: PurePosixPath

    @property
    def group(self) -> str:
        """The folder that makes its label; the container's name where there is none inside."""
        parent = str(self.key.parent)
        return self.container.stem if parent == "." else parent

    def __str__(self) -> str:
        return f"{self.container}/{self.member}"


def list_images(paths: Sequence[Path]) -> list[ImageFile]:
    """The image files in folders and .zip files: path by path, in each sorted by name.

    Hidden files and files of other kinds are left out. A path may also be one image.

    Raises:
        InputError: If one of the paths is none of these, or has no image in it.
    """
    return [file for path in paths for file in _list(path)]


def _list(path: Path) -> list[ImageFile]:
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return [ImageFile(path.parent, path.name, PurePosixPath(path.name))]
    try:
        if path.is_dir():
            names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
        else:
            with zipfile.ZipFile(path) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: not a folder, .zip or image file: {reason}") from None
    members = sorted((PurePosixPath(name) for name in names if _is_image(name)), key=_parts)
    if not members:
        raise InputError(f"{path}: no images in it; allowed: {', '.join(sorted(SUFFIXES))}")
    tops = {member.parts[0] if len(member.parts) > 1 else None for member in members}
    shared = 1 if len(tops) == 1 and None not in tops and not path.is_dir() else 0
    return [ImageFile(path, str(m), PurePosixPath(*m.parts[shared:])) for m in members]


def _parts(path: PurePosixPath) -> tuple[str, ...]:
    return path.parts


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def read_images(files: Sequence[ImageFile]) -> tuple[Tensor, Tensor | None]:
    """Decode image files: all in the colours (grey or RGB) and in the size of the first one.

    Images of another size are resized to the first one's, with a warning in the log.

    Args:
        files: One or more image files.

    Returns:
        Values, uint8 `(n, H, W)` or `(n, 3, H, W)`, and labels `(n,)`: the place of the file's
        folder among all folders sorted by name, or None where there is only one folder.

    Raises:
        InputError: If one of them cannot be read, naming it.
    """
    arrays: list[NDArray[np.uint8]] = []
    mode, size, resized = "", (0, 0), 0
    archives: dict[Path, zipfile.ZipFile] = {}
    try:
        for file in files:
            image = _decode(file, _content(file, archives))
            if not arrays:
                mode, size = image.mode, image.size
            if image.mode != mode:
                image = image.convert(mode)
            if image.size != size:
                image = image.resize(size, Image.Resampling.BILINEAR)
                resized += 1
            arrays.append(np.asarray(image))
    finally:
        for archive in archives.values():
            archive.close()
    if resized:
        _log.warning(
            "%s: %d of %d images resized to %dx%d, the size of the first",
            files[0].container,
            resized,
            len(files),
            *size,
        )
    values = torch.from_numpy(np.stack(arrays))
    if mode == "RGB":
        values = values.permute(0, 3, 1, 2).contiguous()
    groups = sorted({file.group for file in files})
    place = {group: i for i, group in enumerate(groups)}
    labels = torch.tensor([place[file.group] for file in files]) if len(groups) > 1 else None
    return values, labels


def iterate_images(files: Sequence[ImageFile]) -> Iterator[NDArray[np.uint8]]:
    """Decode image files one by one, each in its own size and colours.

    Args:
        files: Image files.

    Yields:
        uint8, `(H, W)` for a grey and `(3, H, W)` for a colour image.

    Raises:
        InputError: If one of them cannot be read, naming it.
    """
    archives: dict[Path, zipfile.ZipFile] = {}
    try:
        for file in files:
            pixels = np.asarray(_decode(file, _content(file, archives)))
            yield pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    finally:
        for archive in archives.values():
            archive.close()


def _content(file: ImageFile, archives: dict[Path, zipfile.ZipFile]) -> bytes:
    """The bytes of an image file; archives stay open for the next one."""
    try:
        if file.container.is_dir():
            return (file.container / file.member).read_bytes()
        if file.container not in archives:
            archives[file.container] = zipfile.ZipFile(file.container)
        return archives[file.container].read(file.member)
    except _BROKEN_MEMBER as error:
        raise InputError(f"{file}: cannot be read: {' '.join(str(error).split())}") from None


def _decode(file: ImageFile, content: bytes) -> Image.Image:
    """The image in mode L or RGB."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        if image.mode == "F":
            raise ValueError("found pixels of type float; allowed: 8 or 16 bits")
        if image.mode.startswith("I"):
            # Pillow's own conversion would clip 16 bits to 255 instead of scaling them.
            deep = np.asarray(image).astype(np.int64).clip(0, 65535)
            return Image.fromarray(np.rint(deep / 257).astype(np.uint8))
        return image.convert("L" if image.mode in _GREY else "RGB")
    except UnidentifiedImageError:
        raise InputError(f"{file}: not an image that can be read") from None
    except _BROKEN_IMAGE as error:
        raise InputError(f"{file}: broken image: {' '.join(str(error).split())}") from None
