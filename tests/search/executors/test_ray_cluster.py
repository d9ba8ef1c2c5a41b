"""What is asked of a Ray cluster, and what is refused before one is asked for it."""

from __future__ import annotations

import socket
import sys

import pytest

from allocsearch.config import InputError, load
from allocsearch.search.executors.ray_cluster import Request, cluster_address, feasible_request


@pytest.fixture
def load_with(tmp_path, write_study):
    def build(*overrides: str):
        return load(write_study(tmp_path / "tiny.toml"), overrides)

    return build


HEAD, SMALL, LARGE = {"CPU": 2.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 8.0}


@pytest.mark.parametrize(
    ("overrides", "nodes", "request_"),
    [
        ([], [HEAD], Request(1, 0)),
        ([], [HEAD, SMALL], Request(1, 1)),
        (["training.device=cpu"], [HEAD, SMALL], Request(1, 0)),
        (["training.threads=4"], [HEAD, SMALL], Request(4, 1)),
        (["ray.num_cpus=0.5", "ray.num_gpus=0.25"], [HEAD, SMALL], Request(0.5, 0.25)),
        (["ray.num_gpus=0", "ray.num_cpus=16"], [LARGE], Request(16, 0)),
    ],
)
def test_what_a_worker_asks_for(overrides, nodes, request_, load_with):
    assert feasible_request(load_with(*overrides), nodes) == request_


@pytest.mark.parametrize(
    ("overrides", "nodes", "message"),
    [
        (["ray.num_gpus=1"], [HEAD], "ray.num_gpus: found 1; allowed: at most 0, "),
        (
            ["ray.num_gpus=0.5"],
            [HEAD, {"CPU": 9.0}],
            "ray.num_gpus: found 0.5; allowed: at most 0",
        ),
        (
            ["ray.num_cpus=3"],
            [HEAD],
            "ray.num_cpus: found 3; allowed: at most 2, the CPUs of the node ",
        ),
        (
            ["training.threads=3"],
            [HEAD],
            "ray.num_cpus: found 3 from training.threads; allowed: at ",
        ),
        # Enough of each, but never together.
        (
            ["ray.num_cpus=5", "ray.num_gpus=1"],
            [{"CPU": 64.0}, SMALL],
            "ray.num_cpus: found 5; allowed: at most 4, the CPUs of the node with 1 GPUs that has",
        ),
    ],
)
def test_what_no_node_has_is_refused(overrides, nodes, message, load_with):
    with pytest.raises(InputError) as error:
        feasible_request(load_with(*overrides), nodes)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "environment", "address"),
    [
        (None, None, None),
        (None, "", None),
        (None, "local", None),
        (None, "auto", "auto"),
        (None, "head:6379", "head:6379"),
        ("other:6379", "head:6379", "other:6379"),
    ],
)
def test_where_the_cluster_is(given, environment, address, load_with, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    config = load_with(*([] if given is None else [f"ray.address={given}"]))
    assert cluster_address(config.ray) == address


@pytest.fixture
def refused(tmp_path, write_study, main_here, monkeypatch):
    """Run a study on Ray that is refused: in one line, with nothing written."""
    study = write_study(tmp_path / "tiny.toml")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        ended = main_here("run", study.name, "--executor", "ray", *arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert [*tmp_path.iterdir()] == [study]
        return ended.err

    return run


def test_a_cluster_wants_a_storage_for_many(refused, tmp_path):
    for storage in ([], ["--storage", f"sqlite:///{tmp_path}/study.db"]):
        message = refused("--address", "localhost:6379", *storage)
        assert message.startswith(
            "study.storage: found SQLite, which is for one machine; allowed "
        )


def test_no_cluster_at_the_address(refused, tmp_path):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        address = f"localhost:{taken.getsockname()[1]}"
        storage = f"journal:///{tmp_path}/study.log"
        message = refused("--address", address, "--storage", storage)
    assert message == f"ray.address: {address}: no Ray cluster answers there: Connection refused\n"


def test_an_environment_that_names_no_cluster(refused, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert refused().startswith(
        "RAY_ADDRESS: found 'ray://head:10001'; allowed: auto, or HOST:PORT "
    )


def test_ray_that_is_not_installed(refused, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    message = refused()
    assert message == "study.executor: 'ray' needs ray; pip install 'allocsearch[distributed]'\n"


def test_an_address_without_ray(tmp_path, write_study, main_here):
    ended = main_here("run", write_study(tmp_path / "tiny.toml"), "--address", "auto")
    assert (ended.code, ended.err) == (2, "--address: allowed with --executor ray\n")
