from __future__ import annotations

import pytest

from allocsearch.config import Shift, TrainingSection, load, loads

ON = "training.pretrain={epochs=4, frozen_epochs=2}"


def test_it_is_off_and_a_resolved_study_does_not_speak_of_it(study):
    assert load(study).training.pretrain is None
    assert "pretrain" not in load(study).to_toml()


def test_the_pretext_tasks_are_the_augmentations_of_a_section_without_any(study):
    found = load(study, [ON]).training.pretrain
    assert [each.shift for each in found.augmentations] == [
        "corruption",
        "segment_shuffling",
        "segment_deletion",
    ]
    assert (found.epochs, found.frozen_epochs) == (4, 2)


def test_augmentations_are_written_as_ood_sets_are(study):
    changed = 'training.pretrain.augmentations=["rotation", {shift="inversion", strength=0.1}]'
    found = load(study, [changed]).training.pretrain
    assert found.augmentations == (
        Shift(shift="rotation"),
        Shift(shift="inversion", strength=0.1),
    )


def test_a_resolved_study_loads_to_an_equal_one(study):
    resolved = load(study, [ON])
    assert loads(resolved.to_toml(), "resolved") == resolved


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("epochs=0", "training.pretrain.epochs: found 0; "),
        ("temperature=0", "training.pretrain.temperature: found 0; "),
        ("augmentations=[]", "training.pretrain.augmentations: found []; "),
        (
            "augmentations=['corrupton']",
            "training.pretrain.augmentations.0: unknown shift 'corrupton'. Did you mean",
        ),
        ("frozen_epochs=21", "training.pretrain.frozen_epochs: found 21; allowed: at most 20"),
        ("epoch=3", "training.pretrain.epoch: unknown key. Did you mean training.pretrain.epochs"),
    ],
)
def test_mistakes_are_told_in_a_line(study, message_of, change, expected):
    assert expected in message_of(study, [f"training.pretrain.{change}"])


def test_models_of_others_are_not_pretrained(study, message_of):
    program = ["trainer.kind='command'", "trainer.command=['./train', '{allocation}', '{out}']"]
    found = message_of(study, [*program, ON])
    assert "training.pretrain: found a section with trainer.kind 'command'; allowed: " in found


def test_a_short_training_by_itself_has_all_epochs_in_proportion():
    section = TrainingSection.model_validate(
        {"epochs": 20, "pretrain": {"epochs": 10, "frozen_epochs": 4}}
    )
    short = section.shortened(5)
    assert (short.epochs, short.pretrain.epochs, short.pretrain.frozen_epochs) == (5, 3, 1)
    assert section.shortened(20) == section
    assert TrainingSection(epochs=8).shortened(2) == TrainingSection(epochs=2)
