"""A tiny study of sequences, from a FASTA file to a detector that scores one."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from allocsearch.config import load
from allocsearch.data.splits import load_search_data, load_test_data
from allocsearch.report.page import write_page
from allocsearch.search.detectors.detector import Detector
from allocsearch.search.evaluation.entrants import Pick
from allocsearch.search.evaluation.final import evaluate
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.records import read_run
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
LENGTH = 16
FAMILIES = {"own": (220, 12, 1.0), "short": (30, 7, 1.0), "odd": (30, 12, 8.0)}


def fasta(seed=0):
    """Families of other lengths, or of other compositions, as FASTA and by name."""
    source = random.Random(seed)
    lines, found = [], {}
    for family, (count, length, bias) in FAMILIES.items():
        weights = [bias if letter in "CHW" else 1.0 for letter in RESIDUES]
        found[family] = [
            "".join(source.choices(RESIDUES, weights, k=source.randint(length - 3, length + 6)))
            for _ in range(count)
        ]
        for number, residues in enumerate(found[family]):
            lines.append(f">{family}{number} family={family}\n{residues}\n")
    source.shuffle(lines)
    return "".join(lines), found


def composition(sequences):
    counts = [Counter(residues) for residues in sequences]
    return np.array([[count[r] / sum(count.values()) for r in RESIDUES] for count in counts])


def test_from_a_fasta_file_to_a_detector(tmp_path, write_study, main_here):
    pytest.importorskip("Bio")
    text, families = fasta()
    path = tmp_path / "all.fasta"
    path.write_text(text)
    source = {"source": "fasta", "path": str(path)}
    data = {
        "id": {**source, "classes": ["own"], "length": LENGTH},
        "identity": 0.9,
        "train_size": 120,
        "validation_size": 50,
        "test_size": 50,
        "ood_validation": [{"shift": "corruption", "strength": 0.5}],
        "ood_test": [{**source, "classes": [name], "name": name} for name in ("short", "odd")],
    }
    tokens = {"likelihood": "categorical", "one_hot": True, "levels": 22, "pad": 0, "embedding": 3}
    study = write_study(
        tmp_path / "a.toml",
        study={"name": "a", "trials": 2},
        data=data,
        model=tokens,
        training={"pretrain": {"epochs": 1, "augmentations": ["corruption"]}},
    )
    run = tmp_path / "run"
    config = prepare(load(study), run)
    opened = open_study(config, run, create=True)
    fill(opened, config, build_space(config.search_space))
    work(opened, config, run, HVAETrainer(config))
    record = read_run(run)
    assert len(record.complete) == 2

    # The plain detectors, from the letters, by other libraries.
    train = load_search_data(config.own_data).train.values.tolist()
    held_out = load_test_data(config.own_data).test.values.tolist()
    train, held_out = (
        ["".join(RESIDUES[token - 1] for token in row if token) for row in part]
        for part in (train, held_out)
    )
    assert {*train, *held_out} <= {residues[:LENGTH] for residues in families["own"]}
    lengths, gaussian = Counter(map(len, train)), LedoitWolf().fit(composition(train))
    evaluation = evaluate(record, [Pick("trial:0", record.trials[0])], 1, 1)
    plain = {each.name: each.sets for each in evaluation.plain}
    for place, name in enumerate(("short", "odd")):
        other = [residues[:LENGTH] for residues in families[name]]
        is_ood = [0] * len(held_out) + [1] * len(other)
        rare = [-lengths[len(residues)] for residues in held_out + other]
        far = gaussian.mahalanobis(composition(held_out + other))
        for kind, scores in (("sequence length", rare), ("composition", far)):
            assert plain[kind][place].name == name
            assert plain[kind][place].auroc == pytest.approx(roc_auc_score(is_ood, scores))
    page = write_page(record).read_text()
    assert "composition" in page

    exported = main_here("export", run, "--pick", "trial:0", "--out", tmp_path / "best.toml")
    assert (exported.code, exported.err) == (0, "")
    trained = main_here("train", tmp_path / "best.toml", "--out", tmp_path / "best")
    assert (trained.code, trained.err) == (0, "")
    card = json.loads((tmp_path / "best" / "detector.json").read_text())
    assert (card["kind"], card["shape"]) == ("tokens", [LENGTH])
    table = tmp_path / "scores.csv"
    scored = main_here("score", tmp_path / "best", "--data", path, "--out", table)
    assert (scored.code, scored.err) == (0, "")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    headers, ids = zip(*(record.split("\n")[:2] for record in text.split(">")[1:]), strict=True)
    assert [row["name"] for row in rows] == [header.split()[0] for header in headers]
    tokens = np.zeros((len(ids), LENGTH), dtype=np.uint8)
    for row, residues in zip(tokens, ids, strict=True):
        row[: len(residues)] = [RESIDUES.index(each) + 1 for each in residues[:LENGTH]]
    expected = Detector.load(tmp_path / "best").score(tokens)
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected, rtol=1e-5)
