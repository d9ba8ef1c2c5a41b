from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine

from allocsearch.config import SHIFTS, DataSection, EvaluationSection, InputError
from allocsearch.data import splits


def section(**content) -> DataSection:
    return DataSection.model_validate({"id": "digits", **content})


def rows(dataset) -> list[bytes]:
    return [example.numpy().tobytes() for example in dataset.values]


@pytest.fixture
def counted(tmp_path) -> str:
    """A NumPy file of 1,000 images that are all different."""
    numbers = np.arange(1000, dtype=np.uint32)
    np.save(tmp_path / "id.npy", numbers.view(np.uint8).reshape(1000, 2, 2))
    return str(tmp_path / "id.npy")


def test_parts_are_disjoint_and_together_the_whole(counted):
    config = section(id={"source": "numpy", "path": counted})
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    parts = [rows(d) for d in (search.train, search.validation, final.test)]
    assert [len(part) for part in parts] == [700, 150, 150]
    assert len(set().union(*parts)) == 1000


KEYS = ("train_size", "validation_size", "test_size")


@settings(
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.tuples(*[st.integers(2, 998)] * 3).filter(lambda sizes: sum(sizes) <= 1000),
    st.integers(0, 2**31 - 1),
)
@example((700, 150, 150), 0)
@example((996, 2, 2), 0)
@example((2, 2, 996), 0)
def test_parts_of_any_possible_sizes_are_disjoint(counted, sizes, seed):
    source = {"source": "numpy", "path": counted}
    config = section(id=source, seed=seed, **dict(zip(KEYS, sizes, strict=True)))
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    parts = [rows(d) for d in (search.train, search.validation, final.test)]
    assert tuple(len(part) for part in parts) == sizes
    assert len(set().union(*parts)) == sum(sizes)


def test_the_seed_decides_and_equal_configs_give_equal_bytes():
    content = {"ood_validation": [*SHIFTS], "ood_test": [*SHIFTS]}

    def prints(seed: int) -> list[str]:
        config = section(**content, seed=seed)
        search, final = splits.load_search_data(config), splits.load_test_data(config)
        sets = (search.train, search.validation, *search.ood_validation)
        return [d.fingerprint for d in (*sets, final.test, *final.ood_test)]

    assert prints(3) == prints(3)
    assert not set(prints(3)) & set(prints(4))


def test_resizing_one_part_moves_no_other():
    full, less = section(), section(train_size=100)
    assert (
        splits.load_search_data(full).validation.fingerprint
        == splits.load_search_data(less).validation.fingerprint
    )
    smaller = section(validation_size=20)
    assert (
        splits.load_test_data(full).test.fingerprint
        == splits.load_test_data(smaller).test.fingerprint
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train_size": 1700}, "data.train_size: found 1700; allowed: at most 1257"),
        ({"validation_size": 1600}, "data.validation_size: found 1600; allowed: at most 1525"),
        ({"test_size": 9999}, "data.test_size: found 9999; allowed: at most 1525"),
        (
            {"train_size": 50, "validation_size": 1000, "test_size": 1000},
            "data.train_size: found 50; allowed: less of each",
        ),
    ],
)
@pytest.mark.parametrize("load", [splits.load_search_data, splits.load_test_data])
def test_impossible_sizes_name_the_key_and_what_is_there(sizes, message, load):
    with pytest.raises(InputError) as error:
        load(section(**sizes))
    assert str(error.value).startswith(message)
    assert "digits has 1797 examples" in str(error.value)


def test_the_largest_allowed_size_works():
    assert len(splits.load_search_data(section(train_size=1257)).train) == 1257
    assert len(splits.load_search_data(section(validation_size=1525)).train) == 2


def test_too_few_examples_to_split(tmp_path, pictures):
    np.save(tmp_path / "a.npy", pictures(5, 4, 4))
    np.save(tmp_path / "b.npy", pictures(6, 4, 4))
    with pytest.raises(
        InputError, match=r"data\.id: found 5 examples in numpy; allowed: at least 6"
    ):
        splits.load_search_data(section(id={"source": "numpy", "path": str(tmp_path / "a.npy")}))
    six = section(id={"source": "numpy", "path": str(tmp_path / "b.npy")})
    assert len(splits.load_search_data(six).train) == 2


@pytest.fixture
def mnist(tmp_path, write_idx, pictures, monkeypatch):
    monkeypatch.setenv("ALLOCSEARCH_DATA", str(tmp_path))
    train, test = pictures(100, 6, 6), pictures(40, 6, 6, seed=1)
    write_idx(tmp_path / "mnist-train-images-idx3-ubyte", train)
    write_idx(tmp_path / "mnist-t10k-images-idx3-ubyte", test)
    return tmp_path, train, test


def test_official_parts_are_kept_apart(mnist):
    _, train, test = mnist
    config = section(id="MNIST")
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    assert (len(search.train), len(search.validation), len(final.test)) == (85, 15, 40)
    found = {*rows(search.train), *rows(search.validation)}
    assert found == {x.tobytes() for x in train}
    assert set(rows(final.test)) == {x.tobytes() for x in test}
    with pytest.raises(InputError, match=r"data.test_size: found 41; allowed: at most 40"):
        splits.load_test_data(section(id="MNIST", test_size=41))


def test_a_chosen_part_is_split_in_three(mnist):
    config = section(id={"source": "MNIST", "split": "train"})
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    assert (len(search.train), len(search.validation), len(final.test)) == (70, 15, 15)
    parts = (search.train, search.validation, final.test)
    assert set().union(*map(rows, parts)) == {x.tobytes() for x in mnist[1]}


def test_search_is_unmoved_by_missing_and_poisoned_test_files(mnist, monkeypatch):
    folder, _, _ = mnist
    poison = folder / "poison.npy"
    np.save(poison, np.zeros((50, 6, 6), np.uint8))
    content = {"id": "MNIST", "ood_validation": ["digits", "segment_deletion"]}
    entry = {"source": "numpy", "path": str(poison), "name": "secret"}

    def prints(config: DataSection) -> list[str]:
        search = splits.load_search_data(config)
        return [d.fingerprint for d in (search.train, search.validation, *search.ood_validation)]

    expected = prints(section(**content))
    assert prints(section(**content, ood_test=[entry])) == expected
    official = folder / "mnist-t10k-images-idx3-ubyte"
    for file in (poison, official):
        file.write_bytes(b"poison")
        file.chmod(0)
    assert prints(section(**content, ood_test=[entry])) == expected
    for file in (poison, official):
        file.unlink()
    assert prints(section(**content, ood_test=[entry])) == expected
    with pytest.raises(InputError, match=r"data\.id: MNIST"):
        splits.load_test_data(section(**content, ood_test=[entry]))


def test_search_never_opens_a_test_file(mnist, monkeypatch):
    opened: list[str] = []
    read = splits.load_source

    def spy(source, **options):
        opened.append(source.source)
        assert source.split != "test"
        return read(source, **options)

    monkeypatch.setattr(splits, "load_source", spy)
    config = section(id="MNIST", ood_validation=["rotation"], ood_test=["digits", "KMNIST"])
    splits.load_search_data(config)
    assert opened == ["MNIST"]


def test_search_data_has_no_place_for_test_data():
    assert set(splits.SearchData.__dataclass_fields__) == {
        "train",
        "validation",
        "ood_validation",
        "scale",
        "probe_set",
    }


def test_real_ood_sets_take_the_id_shape_and_are_capped(tmp_path, pictures):
    np.save(tmp_path / "a.npy", pictures(60, 3, 20, 16))
    entry = {"source": "numpy", "path": str(tmp_path / "a.npy"), "name": "colour"}
    config = section(ood_validation=[entry], ood_size=25)
    (dataset,) = splits.load_search_data(config).ood_validation
    assert (dataset.name, len(dataset), dataset.shape) == ("colour", 25, (8, 8))
    (whole,) = splits.load_search_data(section(ood_validation=[entry])).ood_validation
    assert len(whole) == 60
    assert set(rows(dataset)) <= set(rows(whole))
    (other,) = splits.load_search_data(
        section(ood_validation=[entry], ood_size=25, seed=1)
    ).ood_validation
    assert other.fingerprint != dataset.fingerprint


def test_shifts_are_of_the_examples_of_their_role():
    entry = {"shift": "inversion", "strength": 1.0}
    config = section(ood_validation=[entry], ood_test=[entry])
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    (validation,), (test,) = search.ood_validation, final.ood_test
    assert torch.equal(validation.values, 255 - search.validation.values)
    assert torch.equal(test.values, 255 - final.test.values)
    assert validation.name == "inversion"


def test_a_set_does_not_depend_on_the_other_entries():
    alone = splits.load_search_data(section(ood_validation=["corruption"])).ood_validation
    among = splits.load_search_data(
        section(ood_validation=["additive_noise", "rotation", "corruption"])
    ).ood_validation
    assert alone[0].fingerprint == among[2].fingerprint
    named = [{"shift": "corruption", "name": n} for n in ("a", "b")]
    first, second = splits.load_search_data(section(ood_validation=named)).ood_validation
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("validation", "test"),
    [
        ("KMNIST", {"source": "KMNIST", "name": "other"}),
        ({"source": "KMNIST", "split": "train"}, "KMNIST"),
        ({"source": "KMNIST", "classes": [1, 2]}, {"source": "KMNIST", "classes": [2, 3]}),
    ],
)
def test_the_same_data_in_both_ood_roles_is_refused(validation, test):
    config = section(ood_validation=[validation], ood_test=["digits", test])
    for load in (splits.load_search_data, splits.load_test_data):
        with pytest.raises(
            InputError, match=r"data.ood_test.1: .* is also in data.ood_validation"
        ):
            load(config)


def test_other_parts_or_classes_of_a_set_may_have_the_other_role():
    digits = [{"source": "digits", "classes": c, "name": "d"} for c in ([1, 2], [3, 4])]
    config = section(
        id={"source": "digits", "classes": [0, 5, 6]},
        ood_validation=[digits[0], "rotation"],
        ood_test=[digits[1], "rotation"],
    )
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    assert set(search.ood_validation[0].labels.tolist()) == {1, 2}
    assert set(final.ood_test[0].labels.tolist()) == {3, 4}


@pytest.mark.parametrize("role", ["ood_validation", "ood_test"])
@pytest.mark.parametrize(
    ("id_set", "ood_set"),
    [
        ({"source": "digits", "classes": [0, 1]}, {"source": "digits", "name": "all"}),
        ({"source": "digits", "classes": [0, 1]}, {"source": "digits", "classes": [1, 2]}),
        ("KMNIST", {"source": "KMNIST", "split": "test"}),
        ("file", "same file"),
    ],
)
def test_id_data_is_no_ood_set(id_set, ood_set, role, counted, monkeypatch):
    if id_set == "file":
        path = Path(counted)
        monkeypatch.chdir(path.parent)
        id_set = {"source": "numpy", "path": counted}
        ood_set = {"source": "numpy", "path": f"./{path.name}", "name": "otherwise"}
    config = DataSection.model_validate({"id": id_set, role: [ood_set]})
    for load in (splits.load_search_data, splits.load_test_data):
        with pytest.raises(InputError, match=rf"^data.{role}.0: .* has examples of data.id"):
            load(config)


def test_other_classes_and_inverted_id_data_are_ood_sets():
    others = {"source": "digits", "classes": [2], "name": "others"}
    inverted = {"source": "digits", "classes": [0, 1], "invert": True, "name": "inverted"}
    data = DataSection.model_validate(
        {"id": {"source": "digits", "classes": [0, 1]}, "ood_validation": [others, inverted]}
    )
    assert [each.name for each in splits.load_search_data(data).ood_validation] == [
        "others",
        "inverted",
    ]


def test_other_classes_of_a_probe_are_other_data():
    data = splits.load_search_data(section())
    swapped = data.validation.labels.flip(0)
    other = replace(data, validation=replace(data.validation, labels=swapped))
    plain, probed = EvaluationSection(), EvaluationSection(probe="all")
    assert other.fingerprint_for(plain) == data.fingerprint_for(plain) == data.fingerprint
    assert other.fingerprint_for(probed) != data.fingerprint_for(probed) != data.fingerprint


def test_a_probe_set_is_labelled_and_as_large_as_asked(monkeypatch):
    monkeypatch.setattr(splits, "_HELD_OUT_MOST", 100)
    probe = {"source": "digits", "name": "others", "classes": [7, 8], "invert": True}
    config = section(id={"source": "digits", "classes": [0, 1]}, probe=probe)
    data = splits.load_search_data(config)
    assert data.probed is data.probe_set
    assert (data.probed.name, len(data.probed)) == ("others", 100)
    assert set(data.probed.labels.tolist()) == {7, 8}
    without = splits.load_search_data(section(id={"source": "digits", "classes": [0, 1]}))
    assert without.probed is without.validation
    assert without.validation.fingerprint == data.validation.fingerprint
    assert without.fingerprint != data.fingerprint


def test_a_probe_set_is_standardised_by_the_train_part():
    data = splits.load_search_data(wine(probe={"source": "wine", "classes": [2]}, ood_test=[]))
    ood = splits.load_search_data(
        wine(ood_validation=[{"source": "wine", "classes": [2]}], ood_test=[])
    )
    assert torch.equal(data.probed.values, ood.ood_validation[0].values)


@pytest.mark.parametrize(
    ("probe", "test", "words"),
    [
        ("KMNIST", "KMNIST", r"^data.ood_test.0: KMNIST is also in data.probe; allowed"),
        (
            {"source": "KMNIST", "classes": [1, 2]},
            {"source": "KMNIST", "classes": [2, 3]},
            r"^data.ood_test.0: KMNIST is also in data.probe",
        ),
        ("FashionMNIST", "digits", r"^data.probe: FashionMNIST is also in data.id; allowed"),
        (
            {"source": "FashionMNIST", "split": "test"},
            "digits",
            r"^data.probe: FashionMNIST is also in data.id",
        ),
    ],
)
def test_a_probe_of_data_with_another_role_is_refused(probe, test, words):
    config = section(id="FashionMNIST", probe=probe, ood_test=[test])
    for load in (splits.load_search_data, splits.load_test_data):
        with pytest.raises(InputError, match=words):
            load(config)


def test_a_probe_set_without_labels_or_of_another_shape_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 7), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(9, np.int64))
    vectors = {"source": "numpy", "path": str(tmp_path / "a.npy")}
    with pytest.raises(InputError, match=r"^data\.probe: numpy has no labels; allowed: a set"):
        splits.load_search_data(section(probe=vectors))
    labelled = {**vectors, "labels": str(tmp_path / "labels.npy")}
    with pytest.raises(InputError, match=r"^data\.probe: numpy: found examples of shape"):
        splits.load_search_data(section(probe=labelled))


def test_errors_begin_with_the_key(tmp_path):
    missing = {"source": "idx", "path": str(tmp_path / "none")}
    with pytest.raises(InputError, match=r"^data\.id: .*none: no such file or folder$"):
        splits.load_search_data(section(id=missing))
    config = section(ood_validation=["rotation", missing])
    with pytest.raises(InputError, match=r"^data\.ood_validation\.1: "):
        splits.load_search_data(config)
    np.save(tmp_path / "a.npy", np.zeros((9, 7), np.uint8))
    vectors = {"source": "numpy", "path": str(tmp_path / "a.npy")}
    with pytest.raises(InputError, match=r"^data\.ood_test\.0: numpy: found examples of shape"):
        splits.load_test_data(section(ood_test=[vectors]))
    with pytest.raises(InputError, match=r"^data\.ood_validation\.0: shift 'rotation' takes"):
        splits.load_search_data(section(id=vectors, ood_validation=["rotation"]))


WINE = {"source": "wine", "classes": [1]}


def wine(**content) -> DataSection:
    classes = [{"source": "wine", "name": f"class_{c}", "classes": [c]} for c in (0, 2)]
    roles = {"ood_validation": classes[:1], "ood_test": classes[1:]}
    return section(**{"id": WINE, **roles, **content})


def test_continuous_values_are_standardised_by_the_train_part_alone():
    config = wine()
    search, final = splits.load_search_data(config), splits.load_test_data(config)
    table = load_wine()
    train = search.train.values.double()
    torch.testing.assert_close(train.mean(0), torch.zeros(13).double(), atol=1e-6, rtol=0)
    deviation = train.std(0, correction=0)
    torch.testing.assert_close(deviation, torch.ones(13).double(), atol=1e-6, rtol=0)
    # The map that took the train part there takes all other parts back to the table.
    every = torch.from_numpy(table.data)
    mine = every[torch.from_numpy(table.target == 1)]
    parts = (search.train, search.validation, final.test)
    assert [len(part) for part in parts] == [49, 11, 11]
    scaled = torch.cat([part.values for part in parts]).double()
    # Mean and scale of the whole class follow from those of its standardised parts.
    slope = mine.std(0) / scaled.std(0)
    offset = mine.mean(0) - slope * scaled.mean(0)
    back = (scaled * slope + offset).sort(0).values
    torch.testing.assert_close(back, mine.sort(0).values, rtol=1e-5, atol=1e-4)
    for dataset, c in ((search.ood_validation[0], 0), (final.ood_test[0], 2)):
        expected = every[torch.from_numpy(table.target == c)]
        found = dataset.values.double() * slope + offset
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_other_parts_do_not_move_the_scale():
    search = splits.load_search_data(wine())
    more = splits.load_search_data(wine(ood_validation=["corruption"]))
    assert more.train.fingerprint == search.train.fingerprint
    less = splits.load_search_data(wine(validation_size=5, train_size=49))
    assert less.train.fingerprint == search.train.fingerprint


def test_shifts_are_of_standardised_values():
    config = wine(ood_validation=[{"shift": "segment_deletion", "strength": 1.0}])
    (deleted,) = splits.load_search_data(config).ood_validation
    assert deleted.values.eq(0).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"ood_validation": ["breast_cancer"]},
            r"^data\.ood_validation\.0: breast_cancer: found examples of shape \(30,\); allowed: "
            r"\(13,\)",
        ),
        (
            {"ood_validation": ["digits"]},
            r"^data\.ood_validation\.0: digits: found pixels; allowed: continuous values",
        ),
        (
            {"id": "digits"},
            r"^data\.ood_validation\.0: wine: found continuous values; allowed: pixels",
        ),
        (
            {"ood_validation": ["inversion"]},
            r"^data\.ood_validation\.0: shift 'inversion' takes pixels",
        ),
        ({"id": {**WINE, "invert": True}}, r"^data\.id: invert: found true for wine"),
    ],
)
def test_what_does_not_fit_continuous_data_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        splits.load_search_data(section(**{"id": WINE, "ood_validation": ["wine"], **content}))


def test_files_of_continuous_values(tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.random.default_rng(0).normal(50, 9, (40, 6)))
    entry = {"source": "numpy", "path": str(path)}
    with pytest.raises(InputError, match=r"for values that are no pixels, continuous = true"):
        splits.load_search_data(section(id=entry))
    search = splits.load_search_data(section(id={**entry, "continuous": True}))
    assert search.train.values.dtype == torch.float32
    assert float(search.train.values.mean()) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="only for 'numpy'"):
        section(id={"source": "digits", "continuous": True})
