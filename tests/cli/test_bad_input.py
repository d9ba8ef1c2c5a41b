"""Each mistake is one clear line, exit code 2, and no run folder."""

from __future__ import annotations

import shutil
import struct

import pytest

MISTAKES = {
    "misspelt key": (
        ["--set", "search_space.bugdet=96"],
        ["search_space.bugdet", "unknown key", "Did you mean search_space.budget?"],
    ),
    "misspelt section": (["--set", "trainig.epochs=3"], ["trainig", "training"]),
    "budget below the floors": (
        ["--set", "search_space.min_dim=7"],
        ["search_space.budget", "12", "2 layers * 7 dims = 14"],
    ),
    "unknown data set": (["--set", "data.id=digitz"], ["digitz", "Did you mean digits?"]),
    "unknown OOD set": (
        ["--set", "data.ood_validation=['inversio']"],
        ["data.ood_validation", "inversio", "Did you mean inversion?"],
    ),
    "unknown objective": (
        ["--set", "study.objectives=['max:retension']"],
        ["study.objectives", "retension", "Did you mean retention?"],
    ),
    "negative epochs": (["--set", "training.epochs=-3"], ["training.epochs", "-3"]),
    "text for a number": (["--set", "training.epochs=many"], ["training.epochs", "many"]),
    "no equals sign": (["--set", "training.epochs"], ["training.epochs", "section.key=value"]),
    "no section": (["--set", "epochs=3"], ["epochs=3", "section.key=value"]),
    "unknown sampler": (["--set", "study.sampler=tpee"], ["study.sampler", "tpee", "tpe"]),
    "a name that leaves the folder": (["--set", "study.name='../out'"], ["study.name", "../out"]),
    "too few examples": (["--set", "data.validation_size=8"], ["data.validation_size", "8", "11"]),
    "more examples than there are": (
        ["--set", "data.train_size=100000"],
        ["data.train_size", "100000"],
    ),
    "missing IDX file": (
        ["--set", "data.id={source='idx', path='absent-idx3-ubyte'}"],
        ["data.id", "absent-idx3-ubyte"],
    ),
    "broken IDX file": (
        ["--set", "data.id={source='idx', path='{folder}/short-idx3-ubyte'}"],
        ["data.id", "short-idx3-ubyte", "truncated"],
    ),
    "missing named set": (["--set", "data.id=SVHN"], ["SVHN", "ALLOCSEARCH_DATA"]),
    "broken array file": (
        ["--set", "data.id={source='numpy', path='{folder}/broken.npy'}"],
        ["data.id", "broken.npy"],
    ),
}


def _check_one_line(ended, *parts):
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.endswith("\n")
    assert "Traceback" not in ended.err
    for part in parts:
        assert part in ended.err


@pytest.fixture
def study(tmp_path, write_study, monkeypatch):
    (tmp_path / "roots").mkdir()
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(tmp_path / "roots"))
    monkeypatch.setenv("HOME", str(tmp_path / "roots"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    header = struct.pack(">4B3I", 0, 0, 8, 3, 10, 8, 8)
    (tmp_path / "short-idx3-ubyte").write_bytes(header + bytes(100))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY and no more")
    return write_study(tmp_path / "study.toml")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_a_study(mistake, study, tmp_path, main_here):
    arguments, parts = MISTAKES[mistake]
    filled = [text.replace("{folder}", str(tmp_path)) for text in arguments]
    ended = main_here("run", study, *filled, "--runs", tmp_path / "runs")
    _check_one_line(ended, *parts)
    assert not (tmp_path / "runs").exists()


def test_mistake_in_a_study_through_the_real_command(study, tmp_path, command):
    arguments, parts = MISTAKES["misspelt key"]
    ended = command("run", "study.toml", *arguments, cwd=tmp_path)
    _check_one_line(ended, "study.toml", *parts)
    assert not (tmp_path / "runs").exists()


def test_missing_data_through_the_real_command(study, tmp_path, command):
    ended = command("run", "study.toml", "--set", "data.id=SVHN", cwd=tmp_path)
    _check_one_line(ended, "SVHN", str(tmp_path / "roots"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["absent.toml", "folder.toml", "garbage.toml", "garbage.yaml"])
def test_study_file_that_cannot_be_read(name, tmp_path, main_here):
    (tmp_path / "folder.toml").mkdir()
    for ending in ("toml", "yaml"):
        (tmp_path / f"garbage.{ending}").write_bytes(bytes(range(256)) * 3)
    ended = main_here("run", tmp_path / name, "--runs", tmp_path / "runs")
    _check_one_line(ended, name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["", "[study", "study: [1, {", "- 1\n- 2\n", "\x00"])
@pytest.mark.parametrize("name", ["odd.toml", "odd.yml"])
def test_study_file_of_another_form(name, content, tmp_path, main_here):
    (tmp_path / name).write_text(content)
    ended = main_here("run", tmp_path / name, "--runs", tmp_path / "runs")
    _check_one_line(ended, name)
    assert not (tmp_path / "runs").exists()


def _state(folder):
    """Every file of a folder with its content, but for the lock and what a database adds."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(folder): p.read_bytes() for p in files}


def test_run_folder_of_a_different_study(finished_run, tmp_path, main_here, write_study):
    shutil.copytree(finished_run.folder, tmp_path / "runs" / "quickstart")
    before = _state(tmp_path / "runs")
    study = write_study(
        tmp_path / "other.toml", study={"name": "quickstart"}, training={"epochs": 4}
    )
    ended = main_here("run", study, "--runs", tmp_path / "runs")
    _check_one_line(ended, "runs/quickstart", "training.epochs = 3, not 4")
    assert _state(tmp_path / "runs") == before


def test_fewer_trials_than_have_begun(finished_run, tmp_path, main_here):
    shutil.copytree(finished_run.folder, tmp_path / "runs" / "quickstart")
    before = _state(tmp_path / "runs")
    ended = main_here(
        "run", finished_run.study, "--set", "study.trials=2", "--runs", tmp_path / "runs"
    )
    _check_one_line(ended, "study.trials", "2", "3 already")
    assert _state(tmp_path / "runs") == before


def test_folder_that_holds_something_else(study, tmp_path, main_here):
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "thesis.txt").write_text("mine")
    ended = main_here("run", study, "--runs", tmp_path / "runs")
    _check_one_line(ended, "not empty", "runs/tiny")
    assert _state(tmp_path / "runs").keys() == {
        (tmp_path / "tiny/thesis.txt").relative_to(tmp_path)
    }


def test_runs_folder_that_is_a_file(study, tmp_path, main_here):
    (tmp_path / "runs").write_text("a file")
    ended = main_here("run", study, "--runs", tmp_path / "runs")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert str(tmp_path / "runs") in ended.err


@pytest.mark.parametrize("verb", ["status", "report", "export"])
class TestRunFolder:
    def test_that_is_none(self, verb, tmp_path, main_here):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("")
        for name in ("absent", "empty", "file"):
            _check_one_line(main_here(verb, tmp_path / name), name, "not a run folder")
        assert not (tmp_path / "absent").exists()

    @pytest.mark.parametrize("content", [b"no database at all" * 400, None])
    def test_with_a_broken_database(self, verb, content, finished_run, tmp_path, main_here):
        folder = tmp_path / "run"
        shutil.copytree(finished_run.folder, folder)
        whole = (folder / "study.db").read_bytes()
        (folder / "study.db").write_bytes(content or whole[: len(whole) // 3])
        _check_one_line(main_here(verb, folder), "run", "storage cannot be opened")

    def test_with_a_broken_study_file(self, verb, finished_run, tmp_path, main_here):
        folder = tmp_path / "run"
        shutil.copytree(finished_run.folder, folder)
        (folder / "study.toml").write_text("[study\n")
        _check_one_line(main_here(verb, folder), "study.toml", "not valid TOML")


@pytest.mark.parametrize(
    ("pick", "parts"),
    [
        ("nonsense", ["knee", "max:METRIC", "trial:N"]),
        ("kne", ["Did you mean knee?"]),
        ("max:retension", ["Did you mean retention?"]),
        ("trial:99", ["no trial 99", "0-2"]),
        ("trial:-1", ["trial:N"]),
        ("", ["knee"]),
    ],
)
def test_pick(pick, parts, finished_run, main_here):
    _check_one_line(main_here("export", finished_run.folder, "--pick", pick), *parts)


def test_broken_database_through_the_real_command(finished_run, tmp_path, command):
    shutil.copytree(finished_run.folder, tmp_path / "run")
    (tmp_path / "run" / "study.db").write_bytes(bytes(range(256)) * 40)
    _check_one_line(command("status", "run", cwd=tmp_path), "run", "storage cannot be opened")


def test_export_that_cannot_be_trained(finished_run, tmp_path, main_here):
    (tmp_path / "garbage.toml").write_bytes(bytes(range(256)))
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "plain").write_text("12-4")
    for name in ("absent.toml", "garbage.toml", "folder.toml", "list.json", "plain"):
        _check_one_line(main_here("train", tmp_path / name), name)
    _check_one_line(main_here("train", finished_run.study), "study", "unknown key")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "folder.toml",
        "garbage.toml",
        "list.json",
        "plain",
    ]


def test_train_does_not_write_over_anything(finished_run, tmp_path, main_here):
    export = tmp_path / "best.toml"
    assert main_here("export", finished_run.folder, "--out", export).code == 0
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "kept.txt").write_text("mine")
    _check_one_line(main_here("train", export), str(tmp_path / "best"), "--out")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run"], ["'STUDY'", "allocsearch run --help"]),
        (["run", "study.toml", "--bogus", "1"], ["--bogus", "allocsearch run --help"]),
        (["run", "study.toml", "more"], ["(more)", "allocsearch run --help"]),
        (["run", "study.toml", "--workers"], ["--workers", "requires an argument"]),
        (["run", "study.toml", "--workers", "0"], ["--workers", "greater than or equal to 1"]),
        (["run", "study.toml", "--workers", "two"], ["--workers", "valid integer"]),
        (["export", "runs", "--format", "xml"], ["--format", "'xml'", "'toml', 'yaml', 'json'"]),
        (["rum"], ["'rum'", "allocsearch --help"]),
        (["--bogus"], ["--bogus", "allocsearch --help"]),
    ],
)
def test_usage(arguments, parts, main_here):
    _check_one_line(main_here(*arguments), *parts)


def test_usage_through_the_real_command(tmp_path, command):
    _check_one_line(command("run", "--bogus", cwd=tmp_path), "--bogus")


def test_alone_the_command_shows_its_help(main_here):
    alone = main_here()
    assert (alone.code, alone.err) == (0, "")
    assert alone == main_here("--help")
