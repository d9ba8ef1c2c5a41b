"""A detector of the digits: its files, scores and decisions, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import allocsearch
from allocsearch.allocation import Allocation
from allocsearch.config import (
    DataSection,
    EvaluationSection,
    InputError,
    ModelSection,
    TrainingSection,
)
from allocsearch.data.splits import load_search_data
from allocsearch.metrics.auroc import auroc
from allocsearch.search.detectors.detector import Detector
from allocsearch.search.detectors.detector_training import train_detector
from allocsearch.search.detectors.score_table import table_at
from allocsearch.search.detectors.scoring import Examples, score_examples

DATA = {
    "id": "digits",
    "ood_validation": ["inversion", "segment_deletion"],
    "train_size": 900,
    "validation_size": 399,
}
TABLE = {
    "id": {"source": "breast_cancer", "classes": [1]},
    "ood_validation": [{"source": "breast_cancer", "name": "malignant", "classes": [0]}],
    "validation_size": 90,
}


def trained(folder, data, evaluation=None, **model):
    sections = (
        DataSection.model_validate(data),
        ModelSection(hidden=32, depth=1, **model),
        TrainingSection(epochs=8, batch_size=32, learning_rate=0.003),
        EvaluationSection(samples=4, **(evaluation or {"score_samples": 2})),
    )
    return train_detector(folder, Allocation((6, 4)), 3, *sections)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "best"
    outcome, card = trained(folder, DATA)
    return folder, outcome, card


@pytest.fixture(scope="module")
def data():
    return load_search_data(DataSection.model_validate(DATA))


@pytest.fixture
def detector(made):
    return Detector.load(made[0])


@pytest.fixture
def copied(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "copied")


def test_the_package_offers_it_without_importing_torch():
    script = "import sys, allocsearch; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    assert allocsearch.Detector is Detector
    assert not hasattr(allocsearch, "Detectors")


def test_files_round_trip(made, detector):
    _, outcome, card = made
    assert detector.card == card.model_copy(update={"sha256": detector.card.sha256})
    for name, weight in outcome.model.state_dict().items():
        assert torch.equal(detector.files.model.state_dict()[name], weight)
    assert card.shape == (8, 8)
    assert card.dtype == "uint8"
    assert card.data_fingerprint == outcome.provenance["data"]
    assert card.metrics == outcome.measurement.metrics


def test_the_score_is_the_best_on_validation_data(made):
    _, outcome, card = made
    metrics = outcome.measurement.metrics
    means = {
        name: (metrics[f"auroc.inversion.{name}"] + metrics[f"auroc.segment_deletion.{name}"]) / 2
        for name in outcome.measurement.scores["validation"]
        if not name.startswith("complexity_")
    }
    first, second = sorted(means.values(), reverse=True)[:2]
    assert card.choice.by == "validation"
    assert card.score == outcome.measurement.score
    assert (card.choice.mean_auroc, card.choice.runner_up_auroc) == (first, second)
    assert means[card.score] == first
    assert means[card.choice.runner_up] == second
    assert card.choice.runner_up != card.score
    assert card.choice.runner_up in card.summary


def test_thresholds_keep_their_rate_on_validation_data(detector, data):
    values = data.validation.values
    scores = detector.score(values)
    assert [each.fpr for each in detector.card.thresholds] == [0.01, 0.05, 0.10, 0.20]
    for each in detector.card.thresholds:
        exceeding = int((scores > each.threshold).sum())
        # Of n = 399, one less than the share of n + 1.
        assert exceeding == round(each.fpr * 400) - 1
        assert each.validation_fpr == exceeding / 399
        assert detector.threshold(each.fpr) == each.threshold
        assert detector.decide(values, each.fpr).sum() == exceeding


def test_results_are_those_of_its_scores(detector, data):
    on_id = torch.from_numpy(detector.score(data.validation.values))
    for result, ood in zip(detector.card.results, data.ood_validation, strict=True):
        assert result.set == ood.name
        found = auroc(on_id, torch.from_numpy(detector.score(ood.values)))
        assert result.auroc == pytest.approx(found, abs=1e-9)
        assert result.auroc_low <= result.auroc <= result.auroc_high
        # The measurement of the trial took fresh noise for every example.
        measured = detector.card.metrics[f"auroc.{ood.name}.{detector.card.score}"]
        assert result.auroc_low - 0.05 < measured < result.auroc_high + 0.05


def test_equal_examples_have_equal_scores(detector, data):
    x = data.validation.values
    scores = detector.score(x)
    assert scores.dtype == np.float32
    assert np.array_equal(detector.score(x), scores)
    close = {"rtol": 1e-4, "atol": 1e-4}
    for size in (1, 7, 150):
        found = np.concatenate(list(detector.score_batches(x.split(size))))
        np.testing.assert_allclose(found, scores, **close)
    np.testing.assert_allclose(detector.score(x.flip(0))[::-1], scores, **close)


def test_all_forms_of_an_image_have_one_score(detector, data):
    x = data.validation.values[:20]
    scores = detector.score(x)
    floats = x.numpy() / 255
    for form in (x.numpy(), floats, floats.astype(np.float32), x[:, None], x[..., None].numpy()):
        assert np.array_equal(detector.score(form), scores)
    assert detector.score(x[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0], r"found examples of shape \(8,\)"),
        (lambda x: x[:, :4], r"found examples of shape \(4, 8\)"),
        (lambda x: x.astype(np.int32), "found values of type int32"),
        (lambda x: x.astype(float), "found floats from 0 to 255"),
        (lambda x: x / np.nan, "found floats from nan to nan"),
        (lambda x: np.array(x[0, 0, 0]), r"found values of shape \(\)"),
        (lambda x: x.tolist(), "found list; allowed: a NumPy array or a tensor"),
        (lambda x: np.stack([x, x, x], 1), r"found examples of shape \(3, 8, 8\)"),
    ],
)
def test_what_it_is_not_for_is_refused(detector, data, change, message):
    with (
        np.errstate(invalid="ignore", divide="ignore"),
        pytest.raises(InputError, match=message) as refused,
    ):
        detector.score(change(data.validation.values[:5].numpy()))
    assert "\n" not in str(refused.value)
    if "list" not in message:
        expected = "the detector takes uint8, or floats in [0, 1], of shape (n, 8, 8)"
        assert expected in str(refused.value)


@pytest.mark.parametrize("fpr", [0.002, 0.0, 1.0, -1.0, math.nan])
def test_rates_that_it_cannot_promise(detector, fpr):
    with pytest.raises(InputError, match=r"fpr: found .*; allowed: from 0\.0025 to below 1"):
        detector.threshold(fpr)


def test_images_are_resized_only_when_asked(detector):
    image = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    assert detector.prepare([image, image[0]], "x", resize=True).shape == (2, 8, 8)
    with pytest.raises(InputError, match=r"found examples of shape \(3, 16, 16\)"):
        detector.prepare([image], "x")


def test_continuous_data_comes_in_its_own_units(tmp_path):
    _, card = trained(tmp_path / "table", TABLE, likelihood="gaussian")
    detector = Detector.load(tmp_path / "table")
    loaded = load_search_data(DataSection.model_validate(TABLE))
    raw = loaded.validation.values.double() * loaded.scale.scale + loaded.scale.mean
    scores = np.sort(detector.score(raw))
    np.testing.assert_allclose(scores, detector.files.validation_scores, rtol=1e-3, atol=1e-3)
    assert card.dtype == "float32"
    # 90 validation examples cannot promise one in a hundred.
    assert [each.fpr for each in card.thresholds] == [0.05, 0.10, 0.20]
    with pytest.raises(InputError, match="NaN or an infinite value"):
        detector.score(raw * np.nan)
    with pytest.raises(InputError, match=r"takes finite numbers of shape \(n, 30\)"):
        detector.score(raw[:, :5])


def test_a_score_that_the_study_names(tmp_path):
    evaluation = {"score": "likelihood_regret", "regret_steps": 2, "score_samples": 1}
    small = {**DATA, "train_size": 200, "validation_size": 60, "ood_validation": []}
    _, card = trained(tmp_path / "regret", small, evaluation)
    assert (card.score, card.choice.by, card.choice.mean_auroc) == (
        "likelihood_regret",
        "study",
        None,
    )
    assert card.results == ()
    detector = Detector.load(tmp_path / "regret")
    values = load_search_data(DataSection.model_validate(small)).validation.values
    assert np.array_equal(np.sort(detector.score(values)), detector.files.validation_scores)


def test_nothing_to_choose_a_score_by(tmp_path):
    small = {**DATA, "train_size": 200, "validation_size": 60, "ood_validation": []}
    outcome, card = trained(tmp_path / "none", small)
    assert card is None
    assert (tmp_path / "none" / "metrics.json").is_file()
    assert not (tmp_path / "none" / "detector.json").exists()
    assert outcome.measurement.score is None


def edited(folder, change):
    path = folder / "detector.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(score="kl_9"), r"detector\.json: score: found 'kl_9'"),
        (lambda card: card.update(schema_version=2), "schema_version: found 2"),
        (lambda card: card.update(allocation="6"), "does not fit the tensors"),
        (lambda card: card.update(allocation="x"), "allocation: "),
        (lambda card: card.update(shape=[4, 4]), "does not fit the tensors"),
        (lambda card: card.update(dtype="float32"), "standardisation: "),
        (lambda card: card.update(kind="continuous"), "kind: found 'continuous', which uint8 "),
        (lambda card: card.update(validation_size=5), "validation_size: found 5; .* has 399"),
        (lambda card: card.pop("thresholds"), "thresholds: missing"),
        (lambda card: card.update(extra=1), "extra: unknown key"),
    ],
)
def test_a_card_that_was_changed(copied, change, message):
    edited(copied, change)
    with pytest.raises(InputError, match=message) as refused:
        Detector.load(copied)
    assert "\n" not in str(refused.value)


def test_files_that_are_missing_or_others(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({k: w + 1 for k, w in weights.items()}, copied / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: not the file that detector\.json"):
        Detector.load(copied)
    (copied / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: No such file"):
        Detector.load(copied)
    (copied / "detector.json").write_text("{")
    with pytest.raises(InputError, match=r"detector\.json: not valid JSON"):
        Detector.load(copied)
    (copied / "detector.json").unlink()
    with pytest.raises(InputError, match=r"not a detector \(no detector\.json in it\)"):
        Detector.load(copied)


@pytest.fixture(scope="module")
def made_of_tokens(tmp_path_factory):
    pytest.importorskip("Bio")
    folder = tmp_path_factory.mktemp("tokens")
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 22, (200, 9), generator=generator)
    ids[(torch.arange(9) >= torch.randint(3, 10, (200, 1), generator=generator))] = 0
    rows = ("".join(" ACDEFGHIKLMNPQRSTVWYX"[each] for each in row) for row in ids.tolist())
    lines = [f">p{number}\n{row.rstrip()}\n" for number, row in enumerate(rows)]
    (folder / "own.fasta").write_text("".join(lines))
    source = {"source": "fasta", "path": [str(folder / "own.fasta")], "length": 9}
    data = {"id": source, "validation_size": 40}
    tokens = {"likelihood": "categorical", "one_hot": True, "levels": 22, "pad": 0, "embedding": 4}
    evaluation = {"score": "llr_1", "score_samples": 2}
    outcome, card = trained(folder / "best", data, evaluation, **tokens)
    return folder / "best", outcome, card, ids


@pytest.fixture
def detector_of_tokens(made_of_tokens):
    return Detector.load(made_of_tokens[0])


def test_a_detector_of_tokens_takes_ids_alone(made_of_tokens):
    folder, outcome, card, ids = made_of_tokens
    detector = Detector.load(folder)
    assert (card.kind, card.model.embedding) == ("tokens", 4)
    for mine, own in zip(
        detector.files.model.parameters(), outcome.model.parameters(), strict=True
    ):
        assert torch.equal(mine, own)
    found = detector.score(ids[:5].byte())
    assert np.isfinite(found).all()
    # Floats are scaled to brightness, and ids are none.
    with pytest.raises(InputError, match=r"type float32; the detector takes ids of tokens, uint8"):
        detector.score(ids[:5].float() / 255)
    with pytest.raises(InputError, match=r"found \d+ in x; allowed: ids of tokens, 0 to 21"):
        detector.score(ids[:5].byte() + 22)


def test_sequences_of_a_fasta_file_are_scored_in_their_own_length(tmp_path, detector_of_tokens):
    residues = ["ACDEFG", "YWVTSRQPN", "YWVTSRQPNMLK"]
    lines = [f">p{i}\n{letters}\n" for i, letters in enumerate(residues)]
    (tmp_path / "x.fasta").write_text("".join(lines))
    place = {letter: i for i, letter in enumerate("ACDEFGHIKLMNPQRSTVWY", 1)}
    rows = [[place[letter] for letter in letters[:9]] for letters in residues]
    filled = np.array([row + [0] * (9 - len(row)) for row in rows], dtype=np.uint8)
    table = tmp_path / "scores.csv"
    examples = Examples(str(tmp_path / "x.fasta"))
    tally = score_examples(detector_of_tokens, examples, partial(table_at, table))
    assert tally.examples == 3
    with table.open() as file:
        found = list(csv.DictReader(file))
    assert [row["name"] for row in found] == ["p0", "p1", "p2"]
    expected = detector_of_tokens.score(filled)
    np.testing.assert_allclose([float(row["score"]) for row in found], expected, rtol=1e-5)


# A card of before there were sequences has no kind.
@pytest.mark.parametrize("kind", ["pixels", None])
def test_ids_of_unknown_meaning_are_no_residues(tmp_path, made_of_tokens, kind):
    folder = shutil.copytree(made_of_tokens[0], tmp_path / "ids")
    card = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**card, "kind": kind}))
    (tmp_path / "x.fasta").write_text(">a\nACDEFGHIK\n")
    detector = Detector.load(folder)
    with pytest.raises(InputError, match="sequences of residues; allowed: what the detector was"):
        score_examples(detector, Examples(str(tmp_path / "x.fasta")), partial(table_at, tmp_path))
    assert np.isfinite(detector.score(made_of_tokens[3][:2].byte())).all()


def test_a_detector_of_pixels_takes_no_sequences(tmp_path, detector):
    pytest.importorskip("Bio")
    (tmp_path / "x.fasta").write_text(f">a\n{'A' * 64}\n")
    examples = Examples(str(tmp_path / "x.fasta"))
    with pytest.raises(InputError, match="sequences of residues; allowed: what the detector was"):
        score_examples(detector, examples, partial(table_at, tmp_path / "scores.csv"))
    assert not (tmp_path / "scores.csv").exists()
