from __future__ import annotations

from pathlib import Path

import pytest

from allocsearch.config import InputError
from allocsearch.report.exports.export import load_export
from allocsearch.report.exports.export_files import export_files, write_files
from allocsearch.report.exports.export_formats import ENDINGS
from allocsearch.report.exports.pick import pick, picks
from allocsearch.report.front import study_front


def _files(record, texts, out=None, chosen="toml"):
    return export_files(record, picks(record, texts), chosen, out, lambda e: e.dims)


def test_one_pick_is_a_file_or_named_by_its_allocation(study, tmp_path):
    allocation = pick(study, "knee").allocation
    assert [*_files(study, ["knee"], tmp_path / "a.toml")] == [tmp_path / "a.toml"]
    assert [*_files(study, ["knee"])] == [study.folder / f"{allocation}.toml"]
    assert [*_files(study, ["knee"], tmp_path / "b")] == [tmp_path / "b" / f"{allocation}.toml"]
    # A folder can have any name.
    (tmp_path / "c.toml").mkdir()
    [path] = _files(study, ["knee"], tmp_path / "c.toml")
    assert path.parent == tmp_path / "c.toml"


def test_hydra_gets_the_folder_of_its_group(study, tmp_path):
    name = f"{pick(study, 'knee').allocation}.yaml"
    group = tmp_path / "conf" / "allocation"
    assert [*_files(study, ["knee"], tmp_path / "conf", "hydra")] == [group / name]
    assert [*_files(study, ["knee"], None, "hydra")] == [
        study.folder / "conf" / "allocation" / name
    ]


def test_no_format_takes_the_file_of_another(study):
    names = [path for chosen in ENDINGS for path in _files(study, ["knee"], chosen=chosen)]
    assert len(set(names)) == len(ENDINGS)
    assert f"{pick(study, 'knee').allocation}.hvae-oodd.json" in {path.name for path in names}


def test_several_picks_are_files_of_their_names(study, tmp_path):
    texts = ["knee", "best:auroc", "weights:retention=1,auroc=3", "knee"]
    files = _files(study, texts, tmp_path / "out")
    write_files(files)
    names = ["knee", "best-auroc", "weights-retention-1-auroc-3"]
    chosen = [pick(study, text) for text in texts[:3]]
    assert [path.name for path in files] == [
        f"{name}_{trial.allocation}.toml" for name, trial in zip(names, chosen, strict=True)
    ]
    found = [load_export(path).provenance.trial for path in files]
    assert found == [trial.number for trial in chosen]


def test_the_whole_front_is_a_file_for_each_member(study, tmp_path):
    files = _files(study, ["front"], tmp_path)
    members = study_front(study).members
    assert [path.name for path in files] == [f"front_{m.allocation}.toml" for m in members]


def test_several_picks_for_one_file_are_refused(study, tmp_path):
    with pytest.raises(InputError, match=r"found a file for 2 picks; allowed: a folder"):
        _files(study, ["knee", "best:auroc"], tmp_path / "a.toml")
    with pytest.raises(InputError, match=r"two picks would both be written to"):
        _files(study, ["weights:auroc=1", "weights:auroc=+1"], tmp_path)


@pytest.mark.parametrize(
    ("out", "chosen", "found"),
    [
        ("a.csv", "toml", r"the ending \.csv; allowed: for toml a file that ends in \.toml, or"),
        ("a.txt", "python", r"the ending \.txt; .* ends in \.py, or"),
        ("there", "yaml", r"a file; .* ends in \.yaml or \.yml, or a folder"),
        ("there.old", "toml", r"a file; allowed: for toml"),
    ],
)
def test_a_file_of_another_ending_is_refused(study, tmp_path, out, chosen, found):
    for name in ("there", "there.old"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=rf"--out .*{out}: found {found}"):
        _files(study, ["knee"], tmp_path / out, chosen)
    (tmp_path / "picks.v2").mkdir()
    [path] = _files(study, ["knee"], tmp_path / "picks.v2")
    assert path.parent == tmp_path / "picks.v2"


def test_a_slip_in_front_is_told(study):
    with pytest.raises(InputError, match=r"found 'fron'\. Did you mean front\? .* or front for"):
        picks(study, ["fron"])


@pytest.mark.parametrize("bad", [0, 1])
def test_nothing_is_written_where_one_file_cannot_be(study, tmp_path, bad):
    before = tmp_path / "out" / "old.toml"
    before.parent.mkdir()
    before.write_text("old")
    (tmp_path / "file").write_text("")
    paths = [before, tmp_path / "out" / "new.toml"]
    paths.insert(bad, Path(tmp_path / "file" / "x.toml"))
    with pytest.raises(OSError):
        write_files(dict.fromkeys(paths, "text"))
    assert {path.name: path.read_text() for path in before.parent.iterdir()} == {"old.toml": "old"}
