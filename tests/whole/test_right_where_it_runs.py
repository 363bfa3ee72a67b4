"""A candidate that its runtime computes wrongly is refused, and what is right ships."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import concat_net
from support.builds import quick_fields, write_images
from support.built import check_report

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")
pytest.importorskip("openvino", reason="the openvino extra is not installed")

import torch

import edge_convnext
from edge_convnext.core.cache import Cache
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report

CLASSES = ("ant", "bee")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("concat")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    torch.save(concat_net.FAMILY.draw(concat_net.ConcatShape(2), 0), folder / "weights.pth")
    with pytest.MonkeyPatch.context() as context:
        concat_net.install(context)
        yield folder


def make(root, **fields):
    return make_recipe({**quick_fields(root, "cat"), **fields})


@pytest.fixture(scope="module")
def wrong(root):
    """Both runtimes, and a signed pair behind the Concat."""
    with pytest.MonkeyPatch.context() as context:
        concat_net.sign_what_is_concatenated(context)
        yield edge_convnext.build(make(root), root / "wrong", cache=Cache(root / "wrong-cache"))


def test_what_openvino_computes_wrongly_is_refused_with_rule_node_and_figures(root, wrong):
    check_report(wrong, root / "wrong")
    assert {one.precision for one in wrong.refused} == {"int8"}
    assert {one.runtime for one in wrong.refused} == {"openvino"}
    for one in wrong.refused:
        assert (one.rule, one.node) == ("concat-int8", "fused/Conv")
        assert one.sqnr_db < one.onnxruntime_sqnr_db - 3
        assert "OpenVINO computes something else: " in one.reason


def test_what_is_refused_is_neither_evaluated_nor_raced_and_the_right_one_ships(root, wrong):
    refused = {one.artifact for one in wrong.refused}
    measured = {row.artifact for row in (*wrong.benchmark.rows, *wrong.accuracy.candidates)}
    assert refused
    assert not refused & measured
    int8 = {row.runtime for row in wrong.benchmark.rows if row.precision == "int8"}
    assert int8 - {"litert"} == {"onnxruntime"}  # that one too, where it is installed
    assert wrong.benchmark.chosen.split()[1] != "openvino"
    assert (root / "wrong" / "model.int8.onnx").is_file()


def test_the_report_says_so_wherever_it_is_read(root, wrong):
    (note, *_) = [one for one in wrong.notes if one.startswith("Not raced, and not shipped: INT8")]
    assert "in OpenVINO, f32: OpenVINO computes something else" in note
    text = (root / "wrong" / "report.md").read_text(encoding="utf-8")
    assert "## Refused: wrong where they would run" in text
    assert "concat-int8" in text
    assert Report.read(root / "wrong" / "report.json").refused == wrong.refused


def test_a_float_that_openvino_computes_wrongly_is_timed_and_never_ships(root, monkeypatch):
    from edge_convnext.build import sieve

    real = sieve.check_in_runtime

    def wrong_floats(runner, one, *given, **named):
        found = real(runner, one, *given, **named)
        wrong = one.runtime == "openvino" and one.model.precision == "fp32"
        return replace(found, wrong="OpenVINO computes something else") if wrong else found

    concat_net.unsign_what_is_concatenated(monkeypatch)
    monkeypatch.setattr(sieve, "check_in_runtime", wrong_floats)
    report = edge_convnext.build(make(root), root / "unfit", cache=Cache(root / "cache"))
    check_report(report, root / "unfit")
    refused = {one.artifact for one in report.refused}
    assert all(one.timed and one.precision == "fp32" for one in report.refused)
    assert refused
    assert refused <= {row.artifact for row in report.benchmark.rows}
    assert report.benchmark.best_float.split()[1] != "openvino"
    assert not refused & {report.benchmark.chosen, report.benchmark.best_float}
    assert any(one.startswith("Raced for INT8 to beat, and not shipped") for one in report.notes)
    text = (root / "unfit" / "report.md").read_text(encoding="utf-8")
    assert "(refused, may not ship)" in text
    fp32 = edge_convnext.build(
        make(root, precision="fp32"), root / "fp32", cache=Cache(root / "cache")
    )
    assert not any(one.timed for one in fp32.refused)  # a float has no other to beat
    assert fp32.benchmark.chosen.split()[1] != "openvino"


def test_a_second_build_infers_nothing_to_know_it(root, wrong, monkeypatch):
    from edge_convnext.build import sieve

    def never(*_):
        raise AssertionError("the cache has its logits")

    monkeypatch.setattr(sieve, "load_candidate", never)
    again = edge_convnext.build(make(root), root / "again", cache=Cache(root / "wrong-cache"))
    assert [one.reason for one in again.refused] == [one.reason for one in wrong.refused]


def test_where_none_is_left_the_float_ships_and_the_verdict_says_why(root, monkeypatch):
    concat_net.sign_what_is_concatenated(monkeypatch)
    report = edge_convnext.build(
        make(root, runtime="openvino"), root / "none", cache=Cache(root / "wrong-cache"),
        require="int8",
    )  # fmt: skip
    check_report(report, root / "none")
    assert (report.verdict.ship, report.verdict.confidence) == ("fp32", "shown")
    assert report.verdict.reasons[0] == "No INT8 model is right where it would run."
    assert "concat-int8" in report.verdict.reasons[1]
    assert not report.verdict.passed
    assert {row.precision for row in report.benchmark.rows} == {"fp32"}
    assert not (root / "none" / "model.int8.onnx").exists()
    assert json.loads((root / "none" / "report.json").read_text())["benchmark"]["chosen"] is None


def test_with_unsigned_pairs_it_is_right_and_nothing_is_refused(root, monkeypatch):
    concat_net.unsign_what_is_concatenated(monkeypatch)
    report = edge_convnext.build(
        make(root, runtime="openvino"), root / "right", cache=Cache(root / "cache")
    )
    assert report.refused == ()
    assert {row.precision for row in report.benchmark.rows} == {"fp32", "int8"}
