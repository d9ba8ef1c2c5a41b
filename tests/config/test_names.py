from __future__ import annotations

from allocsearch.config import load, metric_names, score_names


def test_metrics_and_scores_by_name(study):
    loaded = load(study)
    assert {"negative_elbo", "kl_1"} <= set(score_names(1))
    assert not [name for name in score_names(1) if "llr" in name or "bound" in name]
    assert len(set(score_names(4))) == len(score_names(4)) == 2 * (1 + 3 + 3) + 3 * 4 + 6
    assert set(score_names(2)) - set(score_names(2, compressed=False)) == {
        "complexity_png",
        "complexity_zlib",
    }
    assert score_names(2, regret=True) == (*score_names(2), "likelihood_regret")
    names = metric_names(loaded)
    assert len(set(names)) == len(names)
    assert "auroc.inversion.llr_2" in names
    assert "bits_per_dim" in names
    assert {"auroc_low", "auroc_high.inversion", "fpr95.inversion"} <= set(names)
    assert "auroc.inversion.llr_3" not in names
    for name in names:
        load(study, [f"study.objectives=['max:{name}']"])
