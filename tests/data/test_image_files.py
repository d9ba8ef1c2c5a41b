from __future__ import annotations

import logging
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from allocsearch.config import InputError
from allocsearch.data.image_files import list_images, read_images


def test_folder_is_read_in_sorted_order_with_labels_by_folder(tmp_path, write_folder, pictures):
    x = pictures(4, 6, 5)
    members = {"b/2.png": x[2], "a/9.png": x[1], "a/10.png": x[0], "c/d/1.PNG": x[3]}
    folder = write_folder(tmp_path / "set", members | {"a/readme.txt": b"hi", "a/.x.png": b"hi"})
    values, labels = read_images(list_images([folder]))
    assert torch.equal(values, torch.from_numpy(x))
    assert labels is not None
    assert labels.tolist() == [0, 0, 1, 2]


def test_zip_equals_folder_whatever_its_member_order(tmp_path, write_folder, write_zip, pictures):
    x = pictures(3, 6, 5)
    members = {"b/2.png": x[0], "a/1.png": x[1], "a/0.png": x[2]}
    folder = write_folder(tmp_path / "set", members)
    below = {f"top/{name}": array for name, array in members.items()}
    expected = read_images(list_images([folder]))
    for zipped in (members, below, {**below, "__MACOSX/top/b/._2.png": b"junk"}):
        found = read_images(list_images([write_zip(tmp_path / "set.zip", zipped)]))
        assert all(torch.equal(f, e) for f, e in zip(found, expected, strict=True))


def test_several_paths_follow_each_other_and_share_classes(tmp_path, write_folder, pictures):
    x = pictures(4, 6, 5)
    first = write_folder(tmp_path / "p", {"cat/1.png": x[0], "dog/1.png": x[1]})
    second = write_folder(tmp_path / "a", {"cat/1.png": x[2], "dog/1.png": x[3]})
    values, labels = read_images(list_images([first, second]))
    assert torch.equal(values, torch.from_numpy(x))
    assert labels.tolist() == [0, 1, 0, 1]
    flat = [first / "dog", first / "cat"]
    assert read_images(list_images(flat))[1].tolist() == [1, 0]


def test_one_folder_of_images_has_no_labels(tmp_path, write_folder, pictures):
    folder = write_folder(tmp_path / "set", {"1.png": pictures(1, 6, 5)[0]})
    assert read_images(list_images([folder]))[1] is None
    assert len(list_images([folder / "1.png"])) == 1


def test_colour_has_channels_first_and_all_take_the_first_ones_mode(
    tmp_path, write_folder, pictures
):
    colour, grey = pictures(1, 6, 5, 3)[0], pictures(1, 6, 5)[0]
    folder = write_folder(tmp_path / "set", {"0.png": colour, "1.png": grey})
    values, _ = read_images(list_images([folder]))
    assert torch.equal(values[0], torch.from_numpy(colour).permute(2, 0, 1))
    assert torch.equal(values[1], torch.from_numpy(grey).expand(3, -1, -1))


def test_one_bit_and_sixteen_bit_images_use_the_whole_range(tmp_path):
    bits = np.array([[0, 1], [1, 0]], bool)
    Image.fromarray(bits).save(tmp_path / "0.png")
    Image.fromarray(np.array([[0, 257 * 7], [65535, 300]], np.uint16)).save(tmp_path / "1.png")
    values, _ = read_images(list_images([tmp_path]))
    assert values.tolist() == [[[0, 255], [255, 0]], [[0, 7], [255, 1]]]


def test_other_sizes_are_resized_to_the_first_ones_and_it_is_said(tmp_path, write_folder, caplog):
    flat = {"0.png": np.full((6, 5), 9, np.uint8), "1.png": np.full((12, 9), 200, np.uint8)}
    folder = write_folder(tmp_path / "set", flat)
    with caplog.at_level(logging.WARNING):
        values, _ = read_images(list_images([folder]))
    assert values.shape == (2, 6, 5)
    assert (values[1] == 200).all()
    assert "1 of 2 images resized to 5x6" in caplog.text


def test_same_sizes_say_nothing(tmp_path, write_folder, pictures, caplog):
    write_folder(tmp_path / "set", {"0.png": pictures(1, 4, 4)[0], "1.png": pictures(1, 4, 4)[0]})
    read_images(list_images([tmp_path / "set"]))
    assert not caplog.records


def damaged_png() -> bytes:
    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is text",
        damaged_png()[:200],
        damaged_png()[:100] + bytes(50) + damaged_png()[150:],
        damaged_png()[:20] + b"\xff" * 4 + damaged_png()[24:],
    ],
    ids=["empty", "text", "truncated", "damaged", "header"],
)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_broken_images_are_one_line_with_the_name(
    tmp_path, write_folder, write_zip, pictures, content, kind
):
    members = {"a/0.png": pictures(1, 4, 4)[0], "a/bad.png": content}
    if kind == "zip":
        path = write_zip(tmp_path / "set.zip", members)
    else:
        path = write_folder(tmp_path / "set", members)
    with pytest.raises(InputError) as error:
        read_images(list_images([path]))
    assert str(error.value).startswith(f"{path}/a/bad.png: ")
    assert "\n" not in str(error.value)


def test_damaged_zip_members_name_the_file(tmp_path, write_zip, pictures):
    path = write_zip(tmp_path / "set.zip", {"a.png": pictures(1, 40, 40)[0]})
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"set\.zip/a\.png: cannot be read"):
        read_images(list_images([path]))


def test_paths_without_images_are_refused(tmp_path, write_zip):
    (tmp_path / "none").mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    write_zip(tmp_path / "empty.zip", {"a.txt": b"hi"})
    for name, message in (
        ("none", "no images in it; allowed: .bmp"),
        ("empty.zip", "no images in it"),
        ("text.zip", "not a folder, .zip or image file"),
        ("missing.zip", "No such file"),
    ):
        with pytest.raises(InputError, match=message) as error:
            list_images([tmp_path / name])
        assert str(tmp_path / name) in str(error.value)
