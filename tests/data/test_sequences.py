from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocsearch.config import DataSection, InputError, Source, loads
from allocsearch.data.alphabet import AMBIGUOUS, PAD, RESIDUES, decode
from allocsearch.data.sequences import iterate_sequences, read_sequences
from allocsearch.data.sources import load_source
from allocsearch.data.splits import load_search_data, load_test_data

residues = st.text(st.sampled_from(RESIDUES + AMBIGUOUS), min_size=1, max_size=30)


@pytest.fixture
def write(tmp_path):
    def make(*records, name="p.fasta"):
        path = tmp_path / name
        path.write_text("".join(f">{header}\n{sequence}\n" for header, sequence in records))
        return str(path)

    return make


@given(st.lists(residues, min_size=1, max_size=5), st.integers(1, 40))
@settings(
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_tokens_are_the_cropped_sequences_and_pads_stand_at_the_end(write, sequences, length):
    path = write(*((f"s{i}", sequence) for i, sequence in enumerate(sequences)))
    found = load_source(Source(source="fasta", path=(path,), length=length))
    assert found.kind == "tokens"
    assert found.values.dtype == torch.uint8
    assert found.shape == (length,)
    for row, sequence in zip(found.values.numpy(), sequences, strict=True):
        expected = "".join("X" if c in AMBIGUOUS else c for c in sequence[:length])
        assert decode(row) == expected
        assert (row[len(expected) :] == PAD).all()


THREE = (("a family=RVP os=hiv", "ACD"), ("b family=TPR_2 os=rat", "KLM"), ("c family=RVP", "AA"))


def test_labels_come_from_the_headers(write):
    path = write(*THREE)
    found = load_source(Source(source="fasta", path=(path,), length=3))
    assert found.labels.tolist() == [0, 1, 0]
    assert found.class_names == ("RVP", "TPR_2")
    some = load_source(Source(source="fasta", path=(path,), length=3, classes=("RVP",)))
    assert (some.class_names, some.labels.tolist()) == (found.class_names, [0, 0])
    assert torch.equal(some.values, found.values[[0, 2]])
    with pytest.raises(InputError, match=r"classes: found \['RPV'\]; .*: RVP, TPR_2. Did .* RVP"):
        load_source(Source(source="fasta", path=(path,), length=3, classes=("RPV",)))
    with pytest.raises(InputError, match=r"record 'c', line 5: found no field 'os' in the header"):
        load_source(Source(source="fasta", path=(path,), length=3, labels="os"))


def test_without_families_there_are_no_labels_unless_they_are_asked_for(write):
    path = write(("a", "ACD"), ("b family=TPR_2", "KLM"))
    assert load_source(Source(source="fasta", path=(path,), length=3)).labels is None
    with pytest.raises(InputError, match=r"record 'a', line 1: found no field 'family'"):
        load_source(Source(source="fasta", path=(path,), length=3, classes=("TPR_2",)))


def test_a_changed_file_is_read_again(write):
    source = Source(source="fasta", path=(write(("a", "ACD")),), length=3)
    assert len(load_source(source)) == 1
    write(("a", "ACD"), ("b", "ACD"))
    assert len(load_source(source)) == 2


def test_several_files_are_joined_and_names_are_told_apart(write, tmp_path):
    first, second = write(("a", "AC")), write(("b", "DE"), name="q.fasta")
    found = load_source(Source(source="fasta", path=(first, second), length=2))
    assert [decode(row) for row in found.values.numpy()] == ["AC", "DE"]
    with pytest.raises(InputError, match=r"q.fasta: record 'a', line 1: .* in .*p.fasta, line 1"):
        read_sequences(
            [tmp_path / "p.fasta", tmp_path / write(("a", "AC"), name="q.fasta")],
            2,
            "x",
            None,
            labelled=False,
        )


def test_records_in_turn_have_their_own_length(write, tmp_path):
    rows = list(iterate_sequences(tmp_path / write(("a", "ACD"), ("b", "Y"))))
    assert [(name, row.tolist()) for name, row in rows] == [("a", [1, 2, 3]), ("b", [20])]


def entry(path, name, **more):
    return {"source": "fasta", "path": path, "classes": [name], "name": name, **more}


def test_families_of_a_file_have_different_roles_and_the_length_of_the_id_set(write):
    path = write(
        *((f"s{i} family={'abc'[i % 3]}", "ACDEFGHIKLMN"[: 3 + i % 9]) for i in range(90))
    )
    roles = {"ood_validation": [entry(path, "b")], "ood_test": [entry(path, "c")]}
    section = DataSection.model_validate({"id": {**entry(path, "a"), "length": 7}, **roles})
    found, test = load_search_data(section), load_test_data(section)
    assert found.train.kind == found.ood_validation[0].kind == test.ood_test[0].kind == "tokens"
    assert found.ood_validation[0].shape == test.ood_test[0].shape == test.test.shape == (7,)
    assert [len(each) for each in (*found.ood_validation, *test.ood_test)] == [30, 30]
    assert set(found.ood_validation[0].labels.tolist()) == {1}
    again = {**roles, "ood_test": [{**entry(path, "b"), "name": "other"}]}
    with pytest.raises(InputError, match=r"data\.ood_test\.0: other is also in"):
        load_search_data(section.model_validate({"id": section.id, **again}))
    # By another field classes of other names may be the same records.
    other = {**roles, "ood_test": [entry(path, "c", labels="os")]}
    with pytest.raises(InputError, match=r"data\.ood_test\.0: c is also in"):
        load_search_data(section.model_validate({"id": section.id, **other}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("{}", "data.id.length: missing; source 'fasta' needs it, in tokens"),
        ("{length=0}", "data.id.length: found 0; input should be greater than or equal to 1"),
        ("{length=5, classes=[1]}", "data.id.classes: found 1 for source 'fasta'; allowed: names"),
        ("{length=5, classes=['']}", "data.id.classes.0: found ''; allowed: integers greater"),
    ],
)
def test_keys_that_do_not_fit(data, expected):
    keys = data[1:-1]
    text = f'data.id = {{source="fasta", path="x.fasta"{", " if keys else ""}{keys}}}'
    with pytest.raises(InputError) as raised:
        loads(f"search_space.budget = 8\n{text}\n", "study")
    assert str(raised.value).startswith(f"study: {expected}")


def test_an_ood_set_has_no_length_of_its_own():
    section = {"id": {**entry("x", "a"), "length": 7}, "ood_test": [entry("x", "b", length=8)]}
    with pytest.raises(ValueError, match="found 8; allowed: 7, that of the ID data, or none"):
        DataSection.model_validate(section)
