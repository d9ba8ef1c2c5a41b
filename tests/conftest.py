"""The real command, and a study that is small enough to run it often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from filelock import FileLock
from hypothesis import settings

if TYPE_CHECKING:
    import optuna

# How long an example takes is no matter of tests.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# The commands that tests start would compile the whole package anew, each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

COMMAND = Path(sys.executable).with_name("allocsearch")
PATIENCE = 240.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Run:
    """A study that the real command has run to its end."""

    study: Path
    folder: Path
    ended: Ended


@dataclass(frozen=True)
class S3:
    """A bucket on a server that speaks S3, and the credentials that lead there."""

    client: Any
    url: str
    key: str = "AKIAEXAMPLE0000FIND1"
    secret: str = "s3cr3t+of/AWS/Find2"
    bucket: str = "trainings"
    place: str = f"s3://{bucket}"

    def clear(self) -> None:
        """Remove the bucket with all that is there."""
        for found in self.keys():
            self.client.delete_object(Bucket=self.bucket, Key=found)
        self.client.delete_bucket(Bucket=self.bucket)

    def keys(self) -> list[str]:
        """The keys of all that is there."""
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [found["Key"] for found in listed]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """A server that speaks S3, without a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    session = boto3.Session(S3.key, S3.secret, region_name="us-east-1")
    yield S3(session.client("s3", endpoint_url=url), url)
    server.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket; the environment says how to reach it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_server.client.create_bucket(Bucket=S3.bucket)
    yield s3_server
    s3_server.clear()


@pytest.fixture(scope="session")
def command() -> Callable[..., Ended]:
    """Run the real command in a folder; standard input and output are no terminal."""

    def call(*arguments: object, cwd: Path) -> Ended:
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition that comes true, however slow the machine."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


@pytest.fixture
def main_here(monkeypatch, capfd) -> Iterator[Callable[..., Ended]]:
    """Run the command line in this process: the same errors and exit codes, no imports to pay."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: object) -> Ended:
        from allocsearch.cli import main

        monkeypatch.setattr(sys, "argv", ["allocsearch", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(ended.value.code or 0, out, err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if both else value
    return merged


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    """Write a study whose trials take a second; sections can be changed.

    It is of the digits, or where a `trainer` is given, without data.
    """
    tiny = {
        "study": {"name": "tiny", "trials": 3, "seed": 1},
        "search_space": {"kind": "simplex", "budget": 12, "layers": 2},
        "data": {
            "id": "digits",
            "ood_validation": ["inversion"],
            "train_size": 256,
            "validation_size": 64,
            "ood_size": 64,
        },
        "model": {"hidden": 16, "depth": 1},
        "training": {"epochs": 3, "batch_size": 32},
        "evaluation": {"samples": 4, "score_samples": 1},
    }

    def write(path: Path, **sections: Mapping[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        base = tiny
        if sections.get("trainer", {}).get("kind", "hvae") != "hvae":
            # What trains by itself needs no data of ours, and no libraries to read them.
            base = {name: tiny[name] for name in ("study", "search_space", "training")}
        path.write_text(tomli_w.dumps(_merged(base, sections)))
        return path

    return write


@pytest.fixture(scope="session")
def end_trial() -> Callable[[optuna.Study, int, tuple[int, ...]], None]:
    """Add a complete trial of some dims to a study of `max:bottom` and `max:top`."""
    from allocsearch.search.records import ALLOCATION, METRICS, REPLICATE, SEED, SLOT

    def end(study: optuna.Study, number: int, dims: tuple[int, ...]) -> None:
        values = {"bottom": float(dims[0]), "top": float(dims[-1])}
        trial = study.ask()
        # Without any, Optuna's dashboard has nothing to find the importance of.
        trial.suggest_float("x", 0, 1)
        settled = {
            **{ALLOCATION: "-".join(map(str, dims)), METRICS: values},
            **{SLOT: number, SEED: number, REPLICATE: 0},
        }
        for key, value in settled.items():
            trial.set_user_attr(key, value)
        study.tell(trial, [*values.values()])

    return end


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, command, write_study) -> Run:
    """A tiny study that the real command has run. Do not change it: copy its folder."""
    root = tmp_path_factory.getbasetemp()
    # All processes of pytest-xdist share the folder above theirs, and so this run.
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "finished"
    # Named as in the examples of --help, so that these work here as they stand.
    study, told = folder / "studies" / "quickstart.toml", folder / "ended.json"
    with FileLock(folder.with_suffix(".lock")):
        if not told.exists():
            write_study(study, study={"name": "quickstart"})
            ended = command("run", "studies/quickstart.toml", "--workers", "2", cwd=folder)
            assert ended.code == 0, ended.err
            told.write_text(json.dumps(asdict(ended)))
    return Run(study, folder / "runs" / "quickstart", Ended(**json.loads(told.read_text())))
