"""No name from a file or a database becomes a path outside of the run folder."""

from __future__ import annotations

import json

import pytest

from allocsearch.config import DataSection, InputError, StudyConfig, load
from allocsearch.report.exports.export import load_export
from allocsearch.search.evaluation.evaluations import OPENINGS_NAME, read_openings
from allocsearch.search.prediction import THEORY_NAME, read_prediction
from allocsearch.search.trial_attributes import checked_attributes

NAMES = (
    *("..", ".", "../x", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "..\\x", "~", ""),
    *("a\0b", "a\nb", "a ", "x\n", "x" * 101, "\u2024\u2024/x", "\uff0e\uff0e\uff0fx", ".hidden"),
)


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_study_is_that_of_a_folder(tmp_path, name):
    path = tmp_path / "study.toml"
    path.write_text(f"study.name = {json.dumps(name)}\nsearch_space = {{ budget = 8 }}\n")
    with pytest.raises(InputError, match=r"study\.toml: study\.name: found "):
        load(path)
    path.write_text("[search_space]\nbudget = 8\n[data]\nid = 'digits'\n")
    with pytest.raises(InputError, match="name"):
        load(path, [f"study.name={json.dumps(name)}"])


@pytest.mark.parametrize("key", ["ood_validation", "ood_test"])
@pytest.mark.parametrize("kind", ["source", "shift"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("", "x" * 101)])
def test_the_name_of_a_set_is_that_of_an_array(key, kind, name):
    entry = {kind: {"source": "digits", "shift": "rotation"}[kind], "name": name}
    with pytest.raises(ValueError, match="allowed are letters, digits, _ and -"):
        DataSection.model_validate({"id": "digits", key: [entry]})


@pytest.mark.parametrize(
    "text", [*NAMES, "3-9/../x", "3-9\n", "-3-9", "3--9", "03-9", "3-9-", "٣-9"]
)
def test_an_allocation_is_digits_wherever_it_is_read(tmp_path, text):
    with pytest.raises(InputError, match="attribute allocation of trial 3 in the storage"):
        checked_attributes(3, {"allocation": text})
    table = {"kind": "table", "budget": 12, "allocations": [text]}
    with pytest.raises(ValueError, match=r"not an allocation|at most 2000|sums to"):
        StudyConfig.model_validate({"search_space": table, "data": {"id": "digits"}})
    export = tmp_path / "best.json"
    export.write_text(json.dumps(WHOLE | {"allocation": text}))
    with pytest.raises(InputError, match=r"best\.json: allocation: not an allocation"):
        load_export(export)
    (tmp_path / THEORY_NAME).write_text(json.dumps(THEORY | {"layer_counts": [_count(text)]}))
    with pytest.raises(InputError, match=r"theory\.json: .* not an allocation"):
        read_prediction(tmp_path)


@pytest.mark.parametrize("number", ["../../x", "/x", "1/../..", 1.5, None, [1]])
def test_the_number_of_an_evaluation_is_one(tmp_path, number):
    opening = {"number": number, "when": "2026", "picked": ["3-9"], "allocations": ["3-9"]}
    opening |= {"seeds": [1], "sets": {"a": "f"}, "id_test": "i"}
    (tmp_path / OPENINGS_NAME).write_text(json.dumps([opening]))
    with pytest.raises(InputError, match="put it back as it was"):
        read_openings(tmp_path)


def _count(allocation):
    point = {"allocation": allocation, "ratio": 1.0, "retention": 1.0, "attenuation": 0.5}
    return {
        **{"layers": 2, "size": 1, "compared": 1, "optimum": point, "knee": point},
        **{"front": [point], "curve": [point]},
    }


THEORY = {
    **{"examples": 9, "features": 3, "total_variance": 1.0, "effective_directions": 2.0},
    **{"directions_90": 2, "noise": 0.1, "kappa": 0.9, "gamma": 0.5},
    "eigenvalues": [0.5, 0.3, 0.2],
}
WHOLE = {
    **{"allocation": "3-9", "dims": [3, 9], "seed": 1, "data": {"id": "digits"}, "model": {}},
    **{"training": {}, "evaluation": {}, "provenance": {"study": "given", "trial": 0}},
}


def test_what_is_refused_above_is_taken_with_another_name(tmp_path):
    (tmp_path / "best.json").write_text(json.dumps(WHOLE))
    assert load_export(tmp_path / "best.json").dims == (3, 9)
    (tmp_path / THEORY_NAME).write_text(json.dumps(THEORY | {"layer_counts": [_count("3-9")]}))
    assert read_prediction(tmp_path).layer_counts[0].knee.parsed.dims == (3, 9)
