from __future__ import annotations

import typing

import pytest
import tomli_w
from pydantic import BaseModel, ValidationError

from allocsearch.config import StudyConfig, first_problem


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        # study
        ("study.name='a b'", ["study.name: found 'a b'", "pattern"]),
        ("study.name=5", ["study.name: found 5", "valid string"]),
        ("study.seed=-1", ["study.seed: found -1", "greater than or equal to 0"]),
        ("study.trials=0", ["study.trials: found 0", "greater than or equal to 1"]),
        ("study.trials=2.5", ["study.trials: found 2.5", "valid integer"]),
        ("study.trials=true", ["study.trials: found True", "valid integer"]),
        ("study.objectives=[]", ["study.objectives: found []", "at least 1 item"]),
        ("study.objectives=[5]", ["study.objectives.0: found 5", "max:METRIC or min:METRIC"]),
        ("study.objectives=auroc", ["study.objectives.0: found 'auroc'", "max:METRIC"]),
        (
            "study.objectives=['max:retenton']",
            ["study.objectives: unknown objective 'retenton'", "Did you mean retention?", "elbo"],
        ),
        (
            "study.sampler=tppe",
            [
                "study.sampler: found 'tppe'",
                "Did you mean tpe?",
                "lattice_gp, tpe, nsga2, nsga3, gp, qmc, random, grid",
            ],
        ),
        (
            "study.sampler=[1]",
            ["study.sampler: found [1]", "lattice_gp, tpe, nsga2, nsga3, gp, qmc, random, grid"],
        ),
        ("study.workers=0", ["study.workers: found 0", "greater than or equal to 1"]),
        ("study.retries=-1", ["study.retries: found -1", "greater than or equal to 0"]),
        ("study.storage=3", ["study.storage: found 3", "valid string"]),
        # search_space
        ("search_space.kind=simplx", ["search_space.kind", "Did you mean simplex?", "table"]),
        ("search_space.budget=0", ["search_space.budget: found 0", "greater than or equal to 1"]),
        ("search_space.budget=2", ["search_space.budget: budget 2", "3 layers * 1 dims = 3"]),
        ("search_space.min_dim=9", ["search_space.budget: budget 24", "3 layers * 9 dims = 27"]),
        ("search_space.step=7", ["budget 24 is not a multiple of step 7", "21 or 28"]),
        ("search_space.layers=0", ["search_space.layers.0: found 0", "equal to 1"]),
        ("search_space.layers=[]", ["search_space.layers: found []", "at least 1 item"]),
        ("search_space.layers=[2, 2]", ["search_space.layers: found [2, 2]", "once"]),
        ("search_space.max_dim=5", ["search_space.max_dim", "at most 15", "budget 24"]),
        ("search_space.max_dim=[20, 20]", ["search_space.max_dim", "2 caps for 3 layers"]),
        ("search_space.ratio_range=[2, 1]", ["search_space.ratio_range", "0 < low < high"]),
        ("search_space.ratio_range=[0, 1]", ["search_space.ratio_range", "0 < low < high"]),
        ("search_space.ratio_range=[1, inf]", ["search_space.ratio_range.1: found inf", "finite"]),
        ("search_space.allocations=['12-12']", ["search_space.allocations", "only a table"]),
        ("search_space.kind=table", ["search_space.allocations", "at least one", "64-18-6"]),
        # data
        ("data.id=digitz", ["data.id.source: found 'digitz'", "Did you mean digits?", "MNIST"]),
        ("data.id=5", ["data.id: found 5", "source, name, path"]),
        ("data.id={source='idx'}", ["data.id.path: source 'idx' needs path"]),
        ("data.id={source='digits', path='x'}", ["data.id.path: source 'digits' takes no path"]),
        ("data.id={source='digits', invert=1}", ["data.id.invert: found 1", "valid boolean"]),
        ("data.id={source='digits', split='all'}", ["data.id.split: found 'all'", "train, test"]),
        ("data.id={source='digits', classes=[-1]}", ["data.id.classes.0: found -1", "equal to 0"]),
        ("data.ood_validation=['MNISTT']", ["unknown data set 'MNISTT'", "Did you mean MNIST?"]),
        ("data.ood_validation=['rotation','rotation']", ["'rotation' stands twice", "`name`"]),
        (
            "data.ood_validation=[{shift='rotation', name='validation'}]",
            ["data.ood_validation: name 'validation'", "choose another"],
        ),
        ("data.ood_test=[{source='MNIST', name='a b'}]", ["data.ood_test: name 'a b'", "letters"]),
        (
            "data.ood_validation=[{shift='rotation', strength=2}]",
            ["data.ood_validation.0.strength: found 2", "less than or equal to 1"],
        ),
        (
            "data.ood_validation=[{shift='rotation', strenght=1}]",
            ["data.ood_validation.0.strenght: unknown key", "Did you mean", "shift, name, str"],
        ),
        ("data.ood_validation=[]", ["study.objectives", "AUROC needs a set in data.ood_validat"]),
        ("data.train_size=1", ["data.train_size: found 1", "greater than or equal to 2"]),
        ("data.validation_size=1", ["data.validation_size: found 1"]),
        ("data.test_size=1", ["data.test_size: found 1"]),
        ("data.ood_size=1", ["data.ood_size: found 1"]),
        ("data.seed=-1", ["data.seed: found -1"]),
        ("data.download='no'", ["data.download: found 'no'", "valid boolean"]),
        # model
        ("model.inference=topdown", ["model.inference: found 'topdown'", "Allowed: bottom_up"]),
        ("model.blocks=convv", ["model.blocks: found 'convv'", "dense"]),
        ("model.hidden=0", ["model.hidden: found 0"]),
        ("model.depth=0", ["model.depth: found 0"]),
        ("model.skip=1", ["model.skip: found 1", "valid boolean"]),
        ("model.activation=relo", ["model.activation", "Did you mean relu?", "silu"]),
        ("model.likelihood=bernouli", ["model.likelihood", "Did you mean bernoulli?"]),
        # training
        ("training.epochs=-5", ["training.epochs: found -5", "greater than or equal to 1"]),
        ("training.epochs=ten", ["training.epochs: found 'ten'", "valid integer"]),
        # A long section alone makes no two keys alike.
        ("evaluation.zzzz=5", ["evaluation.zzzz: unknown key. Allowed: score"]),
        ("training.epoch=5", ["training.epoch: unknown key", "Did you mean training.epochs?"]),
        ("training.batch_size=1", ["training.batch_size: found 1"]),
        ("training.learning_rate=0", ["training.learning_rate: found 0", "greater than 0"]),
        ("training.learning_rate=nan", ["training.learning_rate: found nan", "finite"]),
        ("training.kl_warmup=1.1", ["training.kl_warmup: found 1.1", "less than or equal to 1"]),
        ("training.free_nats=-1", ["training.free_nats: found -1"]),
        ("training.free_nats_hold=2", ["training.free_nats_hold: found 2"]),
        ("training.free_nats_end=0.1", ["training.free_nats_end: 0.1 is before", "hold 0.42"]),
        ("training.gradient_clip=0", ["training.gradient_clip: found 0"]),
        ("training.threads=0", ["training.threads: found 0"]),
        # evaluation
        ("evaluation.score=llr_9", ["evaluation.score: unknown score 'llr_9'", "llr_1, llr_2"]),
        ("evaluation.samples=1", ["evaluation.samples: found 1"]),
        ("evaluation.batch_size=0", ["evaluation.batch_size: found 0"]),
        ("evaluation.score_samples=0", ["evaluation.score_samples: found 0"]),
        ("evaluation.keep=some", ["evaluation.keep: found 'some'", "none, scores, models, all"]),
        # unknown sections
        ("trainings.epochs=5", ["trainings: unknown key", "Did you mean training?", "evaluation"]),
        ("search_space.bugdet=5", ["search_space.bugdet: unknown key", "search_space.budget?"]),
        ("data.Source=5", ["data.Source: unknown key", "ood_validation"]),
    ],
)
def test_a_mistake_names_file_key_found_and_allowed(study, override, fragments, message_of):
    message = message_of(study, [override])
    assert message.startswith(f"{study}: ")
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize(("population", "found"), [("4", "4"), ("auto", "'auto'")])
def test_a_population_is_not_compiled(study, population, found, message_of):
    message = message_of(study, ["training.compile=true", f"training.population={population}"])
    assert message == (
        f"{study}: training.compile: found true; allowed only with population 1, and it is {found}"
    )


@pytest.mark.parametrize("section", [*StudyConfig.model_fields][1:])
def test_a_section_that_is_none_names_its_keys(tmp_path, section, message_of):
    path = tmp_path / "study.toml"
    content = {"search_space": {"budget": 24}, "data": {"id": "digits"}, section: 5}
    path.write_text(tomli_w.dumps(content))
    message = message_of(path)
    assert message.startswith(f"{path}: {section}: found 5; allowed: a section with ")
    annotation = StudyConfig.model_fields[section].annotation
    # A section that may be missing is a union with None.
    fields = (typing.get_args(annotation) or (annotation,))[0].model_fields
    assert next(iter(fields)) in message


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("", "search_space"),
        ("[search_space]\n[data]\nid = 'digits'", "search_space.budget"),
        ("[search_space]\nbudget = 24", "data"),
        ("[search_space]\nbudget = 24\n[data]", "data.id"),
    ],
)
def test_what_has_no_default_is_asked_for(tmp_path, content, key, message_of):
    path = tmp_path / "study.toml"
    path.write_text(content)
    assert message_of(path).startswith(f"{path}: {key}: missing; it has no default")


class _Stored(BaseModel):
    count: int


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"count": "x"}', "count: found 'x'; Input should be a valid integer"),
        ("[]", "found []; Input should be an object"),
        ("{", "Invalid JSON: EOF while parsing an object"),
    ],
)
def test_stored_content_is_told_by_the_first_problem(text, told):
    with pytest.raises(ValidationError) as raised:
        _Stored.model_validate_json(text)
    assert str(first_problem(raised.value)).startswith(told)


def test_an_error_of_our_own_speaks_for_itself():
    assert str(first_problem(ValueError("no chain"))) == "no chain"
