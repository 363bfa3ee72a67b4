import json

import pytest
from support.gate_builds import make_build, sha
from support.gate_parts import write_build_in

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate.baseline import make_baseline
from edge_convnext.report.gate.decide import gate
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.limits import Limits


def test_two_classes_of_many_that_changed_places_are_found_with_a_baseline(tmp_path):
    names = [f"c{i % 200}" for i in range(20_000)]
    other = {"c3": "c5", "c5": "c3"}
    rows = [[sha(i), name, name, "1", name, "1"] for i, name in enumerate(names)]
    before = make_baseline(read_evidence(write_build_in(tmp_path / "before", rows)))
    said = [other.get(name, name) for name in names]
    rows = [
        [sha(i), *pair, "1", pair[1], "1"] for i, pair in enumerate(zip(names, said, strict=True))
    ]
    report = write_build_in(tmp_path / "after", rows)
    own, top1, class_own, by_class = gate(report, Limits(max_class_drop_pp=20.0), before).criteria
    assert [one.decision for one in (own, class_own)] == ["pass", "pass"]
    assert (top1.measured, top1.decision) == (1.0, "inconclusive")  # both are 1 % of the images
    assert (by_class.name, by_class.decision) == ("class_drop_vs_baseline_pp", "fail")
    assert "drops by 100.00 pp against the baseline on its 100 images" in by_class.reason


def test_a_baseline_of_other_images_or_another_model_is_refused(tmp_path):
    before = make_baseline(read_evidence(make_build(tmp_path / "before", 1000, classes=2)))
    names = [f"class {i % 2}" for i in range(1000)]
    rows = [[sha(i + 500), one, one, "1", one, "1"] for i, one in enumerate(names)]
    with pytest.raises(ArtifactError, match="shares 500 of 1000 images"):
        gate(write_build_in(tmp_path / "other images", rows), Limits(), before)
    model = {**json.loads((tmp_path / "before/report.json").read_text())["model"], "name": "tiny"}
    with pytest.raises(ArtifactError, match="is of tiny, the baseline of convnextv2_atto"):
        gate(make_build(tmp_path / "other model", model=model), Limits(), before)


def test_other_class_names_than_the_baselines_are_refused(tmp_path):
    """Every answer of the baseline would count as wrong, and nothing could be lost."""
    before = make_baseline(read_evidence(make_build(tmp_path / "before", 1000)))
    rows = [[sha(i), "renamed", "renamed", "1", "renamed", "1"] for i in range(1000)]
    with pytest.raises(ArtifactError, match="has no class 'class 0', which the baseline has"):
        gate(write_build_in(tmp_path / "after", rows), Limits(), before)
