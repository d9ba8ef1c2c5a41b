from __future__ import annotations

import pytest

from allocsearch.config import load, metric_names

PROBE = ["evaluation.probe='all'"]
PROGRAM = ["trainer.kind='command'", "trainer.command=['./train', '{allocation}', '{out}']"]


def test_a_probe_is_off_and_its_metrics_are_objectives_where_it_is_on(study, message_of):
    assert load(study).evaluation.probe is None
    objective = "study.objectives=['max:probe_accuracy', 'max:probe_accuracy_knn']"
    loaded = load(study, [*PROBE, objective])
    assert {"probe_accuracy", "probe_accuracy_knn"} <= set(metric_names(loaded))
    expected = "unknown objective 'probe_accuracy': a probe needs evaluation.probe, a layer or"
    assert expected in message_of(study, [objective])


@pytest.mark.parametrize("value", ["0", "true", "'top'", "1.5", "-1"])
def test_a_probe_is_of_a_layer_or_all(study, message_of, value):
    found = message_of(study, [f"evaluation.probe={value}"])
    expected = "the number of a layer from 1, or 'all'"
    assert found.endswith(
        f"evaluation.probe: found {value}; allowed: {expected}".replace("true", "True")
    )


def test_a_probe_is_of_a_layer_that_every_model_has(study, message_of):
    assert load(study, ["evaluation.probe=3"]).evaluation.probe == 3
    found = message_of(study, ["evaluation.probe=3", "search_space.layers=[2, 3]"])
    assert "evaluation.probe: found 3; allowed: 1 to 2, or 'all'" in found


def test_models_of_others_are_not_probed(study, message_of):
    load(study, PROGRAM)
    found = message_of(study, [*PROGRAM, *PROBE])
    assert "evaluation.probe: found 'all' with trainer.kind 'command'; allowed: only" in found


def test_a_resolved_study_without_a_probe_does_not_speak_of_it(study):
    assert "probe" not in load(study).to_toml()
    assert "probe = 2" in load(study, ["evaluation.probe=2"]).to_toml()


def test_a_probe_set_that_nothing_probes_is_refused(study, message_of):
    found = message_of(study, ["data.probe='wine'"])
    assert found.endswith(
        "data.probe: found 'wine'; allowed only with evaluation.probe, a layer or 'all'"
    )
    assert load(study, [*PROBE, "data.probe='wine'"]).own_data.probe.title == "wine"


def test_sequences_stand_beside_sequences_alone(study, message_of):
    entry = "{source='fasta', path='x.fasta', name='x'}"
    for key in ("ood_validation", "ood_test"):
        found = message_of(study, [f"data.{key}=[{entry}]"])
        assert f"data.{key}.0.source: found 'fasta' beside data.id of 'digits'" in found
