from __future__ import annotations

from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision import datasets

from allocsearch.config import InputError
from allocsearch.data.named import load_named


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def mirror(tmp_path, write_idx, pictures, monkeypatch):
    """The folder that is served as the mirror of MNIST, and the images of its train part."""
    folder = tmp_path / "mirror"
    images = {"train": pictures(4, 6, 5), "t10k": pictures(3, 6, 5, seed=1)}
    resources = []
    for part, x in images.items():
        labels = np.arange(len(x), dtype=np.uint8)
        for path, array in (
            (f"{part}-images-idx3-ubyte.gz", x),
            (f"{part}-labels-idx1-ubyte.gz", labels),
        ):
            content = write_idx(folder / path, array).read_bytes()
            resources.append((path, md5(content, usedforsecurity=False).hexdigest()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    yield folder, images["train"]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_found_again_without_one(mirror, tmp_path):
    with pytest.raises(InputError, match="not found"):
        load_named("MNIST", "train", allow_download=False)
    values, labels = load_named("MNIST", "train", allow_download=True)
    assert torch.equal(values, torch.from_numpy(mirror[1]))
    assert labels.tolist() == [0, 1, 2, 3]
    again, _ = load_named("MNIST", "train", allow_download=False)
    assert torch.equal(values, again)
    assert len(load_named("MNIST", None, allow_download=False)[0]) == 7
    cache = tmp_path / "cache" / "allocsearch"
    assert [path.name for path in cache.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_failed_download_is_one_line_and_leaves_nothing(mirror, tmp_path, fault):
    path = mirror[0] / "t10k-labels-idx1-ubyte.gz"
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"MNIST: the download into .* failed: ") as error:
        load_named("MNIST", "train", allow_download=True)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "cache" / "allocsearch").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(mirror, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(InputError, match="MNIST: the download into"):
        load_named("MNIST", "train", allow_download=True)
