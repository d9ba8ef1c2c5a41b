from __future__ import annotations

import pytest

from allocsearch.config import InputError, checked_ray_address, load


@pytest.fixture
def load_with(tmp_path, write_study):
    def build(*overrides: str):
        return load(write_study(tmp_path / "tiny.toml"), overrides)

    return build


@pytest.mark.parametrize(
    "address", ["auto", "10.0.0.1:6379", "head.example:6379", "[fd00::1]:6379"]
)
def test_addresses_of_a_cluster(address, load_with, tmp_path):
    assert checked_ray_address(address) == address
    config = load_with("study.executor=ray", f"ray.address={address}")
    assert (config.study.executor, config.ray.address) == ("ray", address)
    (tmp_path / "again.toml").write_text(config.to_toml())
    assert load(tmp_path / "again.toml") == config


@pytest.mark.parametrize(
    "address", ["", "head", ":6379", "ray://head:10001", "head:", "head:http"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match=r"^found '.*'; allowed: auto, or HOST:PORT "):
        checked_ray_address(address)


@pytest.mark.parametrize(
    ("override", "value"),
    [("ray.num_cpus=0.5", 0.5), ("ray.num_cpus=4", 4.0), ("ray.num_gpus=0", 0.0)],
)
def test_requests(override, value, load_with):
    ray = load_with(override).ray
    assert value in (ray.num_cpus, ray.num_gpus)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ray.num_cpus=0", "ray.num_cpus: found 0; allowed: auto, or a number above 0"),
        ("ray.num_cpus=true", "ray.num_cpus: found True; allowed: auto, or a number above 0"),
        ("ray.num_gpus=2", "ray.num_gpus: found 2; allowed: auto, or a number from 0 to 1"),
        ("ray.num_gpus=-1", "ray.num_gpus: found -1; allowed: auto, or a number from 0 to 1"),
        ("ray.num_gpus=nan", "ray.num_gpus: found nan; allowed: auto, or a number from 0 to 1"),
        ("ray.num_gpu=1", "ray.num_gpu: unknown key. Did you mean ray.num_gpus?"),
        ("study.executor=rays", "study.executor: found 'rays'. Did you mean ray?"),
    ],
)
def test_other_requests_are_refused(override, message, load_with):
    with pytest.raises(InputError) as error:
        load_with(override)
    assert message in str(error.value)


def test_a_gpu_is_trained_on_only_where_it_is_asked_for(load_with):
    changes = ("training.device=cuda", "ray.num_gpus=0")
    # It is of no matter to processes.
    load_with(*changes)
    with pytest.raises(InputError, match=r"ray.num_gpus: found 0 with training.device = 'cuda'"):
        load_with(*changes, "study.executor=ray")
