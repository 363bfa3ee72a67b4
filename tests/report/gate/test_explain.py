"""Every sentence and every figure of a gate, on evidence that is written down."""

from dataclasses import replace

import pytest
from support.gate_builds import make_build
from support.gate_parts import (
    baseline_of,
    evidence_of,
    predictions,
)

from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.explain import ClassFlips, Flip, explain

# Speed.


# Limits.


# The whole.


def test_flips_are_explained_the_worst_class_and_the_surest_loss_first():
    pairs = [
        *predictions(4, 2, 1, "a", "b"), *predictions(3, 1, 0, "b", "a", start=4),
        *predictions(2, 0, 0, "c", "a", start=7), *predictions(4, 1, 1, "d", "a", start=9),
    ]  # fmt: skip
    found = explain(evidence_of(pairs))
    assert found.against == "fp32"
    assert found.classes == (
        ClassFlips("b", 3, 1, 0), ClassFlips("a", 4, 2, 1), ClassFlips("d", 4, 1, 1),
    )  # fmt: skip
    assert [one.drop_pp for one in found.classes] == pytest.approx([100 / 3, 25.0, 0.0])
    assert [int(one.sha256[:16], 16) for one in found.flips] == [9, 4, 1, 0, 10, 2]
    assert found.flips[0] == Flip(pairs[9].sha256, "d", "d", "a", 9.0)
    assert [one.lost for one in found.flips] == [True] * 4 + [False] * 2
    before = baseline_of(pairs[1:5])
    against = explain(evidence_of([replace(one, candidate="z") for one in pairs]), before)
    assert against.against == "the baseline"
    assert [int(one.sha256[:16], 16) for one in against.flips] == [3, 2, 4, 1]
    assert against.classes == (ClassFlips("a", 4, 2, 0), ClassFlips("b", 3, 0, 0))


def test_flips_come_worst_first(tmp_path):
    found = explain(read_evidence(make_build(tmp_path, 1000, lost=9, won=3, classes=3)))
    drops = [one.drop_pp for one in found.classes]
    assert drops == sorted(drops, reverse=True)
    assert [flip.lost for flip in found.flips] == [True] * 9 + [False] * 3
    margins = [flip.margin for flip in found.flips[:9]]
    assert margins == sorted(margins, reverse=True)
