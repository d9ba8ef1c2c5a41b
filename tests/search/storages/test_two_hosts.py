"""A host that is cut off in the middle of a trial, and comes back when the study has ended.

The hosts are network namespaces with addresses of their own, a name and process numbers of their
own, and one cable between them. Optuna's proxy on the first is the storage of both.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from allocsearch.config import load
from allocsearch.search.records import read_study
from allocsearch.search.storage import open_study
from allocsearch.search.storages.heartbeat import HEARTBEAT

COMMAND = Path(sys.executable).with_name("allocsearch")
FIRST, SECOND = "10.77.31.1", "10.77.31.2"

_PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), host=sys.argv[2], port=int(sys.argv[3]))
"""

_PROBE = """
import socket, sys, time

while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()
        break
    except OSError:
        time.sleep(0.1)
"""

# Each training waits until its host may go on.
TRAINER = """
import socket, time
from pathlib import Path

def train(allocation, config, seed, report):
    gate = Path(__file__).parent / socket.gethostname()
    gate.with_suffix(".began").touch()
    while not gate.with_suffix(".go").exists():
        time.sleep(0.02)
    return {"loss": float(seed)}
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Host:
    """A host with a name, and an address at one end of the cable."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._space = f"{name}-{os.getpid()}"
        ip("netns", "add", self._space)

    def plug(self, end: str, address: str) -> None:
        ip("link", "set", end, "netns", self._space, "name", "cable")
        ip("-n", self._space, "addr", "add", f"{address}/24", "dev", "cable")
        self.switch("up")
        ip("-n", self._space, "link", "set", "lo", "up")

    def switch(self, state: str) -> None:
        """Turn its end of the cable up or down."""
        ip("-n", self._space, "link", "set", "cable", state)

    def start(self, *command: object, cwd: Path) -> subprocess.Popen:
        """Start a program on it, with which all that it has started ends."""
        own = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        named = f'hostname {self.name} && exec "$@"'
        return subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                self._space,
                *own,
                "sh",
                "-c",
                named,
                "sh",
                *map(str, command),
            ],
            cwd=cwd,
            # A proxy of the web does not know these hosts.
            env={**os.environ, "OMP_NUM_THREADS": "1", "no_proxy": "*", "no_grpc_proxy": FIRST},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        ip("netns", "del", self._space)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    missing = [program for program in ("ip", "unshare") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here")
    try:
        ends = [f"veth{i}{os.getpid() % 10**8}" for i in (0, 1)]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    first, second = Host("first"), Host("second")
    first.plug(ends[0], FIRST)
    second.plug(ends[1], SECOND)
    yield first, second
    first.close()
    second.close()


def known(study) -> list[tuple]:
    """All that a study knows of its trials, but for the signs of life."""
    return [
        (
            trial.state,
            trial.values,
            trial.datetime_complete,
            {key: value for key, value in trial.user_attrs.items() if key != HEARTBEAT},
        )
        for trial in study.trials
    ]


def test_a_host_is_cut_off_in_the_middle_of_a_trial(
    hosts, postgres, tmp_path: Path, wait_for, monkeypatch
) -> None:
    first, second = hosts
    (tmp_path / "own.py").write_text(TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    database = postgres.database()
    url = f"grpc://{FIRST}:{port}"
    content = {
        "study": {
            "name": "tiny",
            "objectives": ["min:loss"],
            "sampler": "random",
            "trials": 4,
            "storage": url,
            "heartbeat": 1.5,
        },
        "search_space": {"kind": "simplex", "budget": 12, "layers": 2},
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    study = tmp_path / "tiny.toml"
    study.write_text(tomli_w.dumps(content))
    whole = database.render_as_string(hide_password=False)
    started = [first.start(sys.executable, "-c", _PROXY, whole, FIRST, port, cwd=tmp_path)]
    try:
        probing = first.start(sys.executable, "-c", _PROBE, FIRST, port, cwd=tmp_path)
        assert probing.wait(timeout=240) == 0
        run = first.start(COMMAND, "run", study.name, cwd=tmp_path)
        started.append(run)
        wait_for(lambda: (tmp_path / "first.began").exists() or run.poll() is not None)
        home = tmp_path / "home"
        home.mkdir()
        worker = second.start(COMMAND, "worker", "tiny", "--storage", url, cwd=home)
        started.append(worker)
        wait_for(lambda: (tmp_path / "second.began").exists() or worker.poll() is not None)

        second.switch("down")
        # Both go on: the second trains to the end of its trial, and can tell nobody.
        for host in hosts:
            (tmp_path / f"{host.name}.go").touch()
        out, err = run.communicate(timeout=240)
        assert (run.returncode, err) == (0, "")
        assert "4 of 4 trials" in out

        config = load(study, [f"study.storage={database._replace(password=None)}"])
        opened = open_study(config, tmp_path)
        before = known(opened)
        record = read_study(opened, config, tmp_path)
        assert sorted(t.state for t in record.trials) == ["complete"] * 4 + ["interrupted"]
        [lost] = [trial for trial in record.trials if trial.state == "interrupted"]
        assert lost.reason == "the worker died"
        assert [t.retry_of for t in record.trials if t.retry_of is not None] == [lost.number]

        second.switch("up")
        _, err = worker.communicate(timeout=240)
        assert worker.returncode == 0
        assert err.splitlines()[-1] == (
            f"trial {lost.number} was put back by another process; whoever has it now trains it"
        )
        assert known(opened) == before
    finally:
        for process in started:
            process.kill()
            process.communicate()
