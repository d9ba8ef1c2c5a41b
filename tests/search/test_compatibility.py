from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from allocsearch.config import EvaluationSection, InputError, ModelSection, TrainingSection, load
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.search.compatibility import check_compatibility, check_pretraining, check_probe
from allocsearch.search.run import prepare


def search_data(*shape: int, most: int = 256) -> SearchData:
    def dataset(name: str) -> Dataset:
        generator = torch.Generator().manual_seed(0)
        values = torch.randint(most, (20, *shape), generator=generator, dtype=torch.uint8)
        return Dataset(name, values)

    return SearchData(dataset("train"), dataset("held_out"), (dataset("other"),))


def test_every_part_is_checked():
    section = ModelSection(likelihood="categorical", levels=4, one_hot=True)
    data = search_data(6, most=4)
    check_compatibility(data, section)
    foreign = Dataset("foreign", torch.full((3, 6), 4, dtype=torch.uint8))
    for parts in (
        SearchData(foreign, data.validation, data.ood_validation),
        SearchData(data.train, foreign, data.ood_validation),
        SearchData(data.train, data.validation, (*data.ood_validation, foreign)),
    ):
        with pytest.raises(InputError, match="found 4 in foreign"):
            check_compatibility(parts, section)


def labelled(*labels: int) -> SearchData:
    data = search_data(6)
    held_out = Dataset("held_out", data.validation.values, torch.tensor(labels))
    return SearchData(data.train, held_out, ())


def test_a_probe_takes_classes(caplog):
    section = EvaluationSection(probe="all")
    check_probe(search_data(6), EvaluationSection())
    with pytest.raises(InputError, match="found 'all', but held_out has no labels; allowed: with"):
        check_probe(search_data(6), section)
    with pytest.raises(InputError, match="but the 20 examples of held_out have one class with 5"):
        check_probe(labelled(*[3] * 16, *[4] * 4), section)
    check_probe(labelled(*[3] * 10, *[4] * 10), section)
    assert not caplog.messages
    check_probe(labelled(*[3] * 9, *[4] * 7, *[5] * 4), section)
    (told,) = caplog.messages
    assert "1 of 3 classes of held_out have fewer than 5 examples and are left out: 5" in told


def test_near_twins_do_not_make_a_class_large_enough_for_a_probe(caplog):
    section, data = EvaluationSection(probe="all"), labelled(*[3] * 6, *[4] * 7, *[5] * 7)
    clusters = torch.tensor([*range(13), *[13, 14, 15, 16] * 2][:20])
    grouped = replace(data, validation=replace(data.validation, clusters=clusters))
    check_probe(grouped, section)
    (told,) = caplog.messages
    assert "1 of 3 classes of held_out have fewer than 5 clusters of near-identical " in told
    assert told.endswith("left out: 5")
    twins = replace(data.validation, clusters=torch.zeros(20).long())
    with pytest.raises(InputError, match="have no class with 5 clusters of near-identical"):
        check_probe(replace(data, validation=twins), section)


def test_a_study_whose_probe_has_no_classes_writes_nothing(tmp_path, write_study):
    path = write_study(
        tmp_path / "a.toml",
        data={"id": {"source": "digits", "classes": [0]}, "train_size": 80},
        evaluation={"probe": 1},
    )
    with pytest.raises(InputError, match=r"^evaluation\.probe: found 1, but the 64 examples of "):
        prepare(load(path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_shape_is_checked():
    with pytest.raises(InputError, match=r"shape \(2, 4, 4\); allowed: 1 or 3 channels"):
        check_compatibility(search_data(2, 4, 4), ModelSection(likelihood="logistic_mixture"))


TOKENS = {"likelihood": "categorical", "one_hot": True, "levels": 22, "pad": 0}


def token_data() -> SearchData:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(1, 22, (20, 9), generator=generator, dtype=torch.uint8)
    values[::2, 5:] = 0
    return SearchData(*(Dataset(name, values, kind="tokens") for name in ("RVP", "held_out")), ())


@pytest.mark.parametrize("more", [{}, {"embedding": 4}, {"blocks": "conv1d"}, {"levels": 30}])
def test_tokens_have_their_model(more):
    check_compatibility(token_data(), ModelSection.model_validate({**TOKENS, **more}))


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ({}, "likelihood: found 'bernoulli'"),
        ({"likelihood": "gaussian"}, "likelihood: found 'gaussian'"),
        ({"likelihood": "categorical", "levels": 22}, "one_hot: found false"),
        ({**TOKENS, "levels": 21}, "levels: found 21"),
        ({**TOKENS, "pad": None}, "pad: found none"),
        ({**TOKENS, "pad": 21}, "pad: found 21"),
    ],
)
def test_tokens_are_refused_by_any_other_model(model, found):
    with pytest.raises(InputError) as error:
        check_compatibility(token_data(), ModelSection.model_validate(model))
    assert str(error.value) == (
        f"model.{found}, and RVP has tokens; allowed: "
        'likelihood = "categorical", one_hot = true, levels = 22, pad = 0'
    )


def test_blocks_are_for_images_or_for_sequences():
    with pytest.raises(InputError, match=r"found 'conv' for examples of shape \(9,\); allowed: "):
        check_compatibility(
            token_data(), ModelSection.model_validate({**TOKENS, "blocks": "conv"})
        )
    with pytest.raises(InputError, match=r"found 'conv1d' for examples of shape \(4, 4\); allow"):
        check_compatibility(search_data(4, 4), ModelSection(blocks="conv1d"))


@pytest.mark.parametrize(
    ("source", "likelihood", "fragment"),
    [
        (
            "breast_cancer",
            "bernoulli",
            "and breast_cancer has continuous values; allowed: 'gaussian'",
        ),
        ("digits", "gaussian", "and digits has pixels (uint8); allowed: 'bernoulli'"),
    ],
)
def test_a_study_of_the_wrong_likelihood_writes_nothing(
    tmp_path, write_study, source, likelihood, fragment
):
    data = {"id": source, "ood_validation": ["pixel_permutation"]}
    path = write_study(tmp_path / "a.toml", data=data, model={"likelihood": likelihood})
    with pytest.raises(InputError) as error:
        prepare(load(path), tmp_path / "run")
    assert fragment in str(error.value)
    assert str(error.value).startswith(f"model.likelihood: found {likelihood!r}")
    assert not (tmp_path / "run").exists()


def test_ids_of_unknown_meaning_are_not_augmented():
    model = ModelSection(likelihood="categorical", levels=4, one_hot=True)
    training = TrainingSection.model_validate({"pretrain": {"epochs": 1}})
    check_pretraining(search_data(6), ModelSection(), training)
    check_pretraining(search_data(6), model, TrainingSection())
    with pytest.raises(
        InputError, match=r"^training\.pretrain: found a section with model\.one_hot"
    ):
        check_pretraining(search_data(6), model, training)
