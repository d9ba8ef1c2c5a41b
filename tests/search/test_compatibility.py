from __future__ import annotations

import pytest
import torch

from allocsearch.config import InputError, ModelSection, load
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.search.compatibility import check_compatibility
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


def test_the_shape_is_checked():
    with pytest.raises(InputError, match=r"shape \(2, 4, 4\); allowed: 1 or 3 channels"):
        check_compatibility(search_data(2, 4, 4), ModelSection(likelihood="logistic_mixture"))


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
