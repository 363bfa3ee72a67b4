from __future__ import annotations

import csv

import numpy as np
import pytest
from support.tiny_graph import expected_logits, make_images, write_graph

from edge_convnext.core.errors import DataError, InferenceError
from edge_convnext.measure.accuracy import (
    Predictions,
    compare_predictions,
    count_class_flips,
    count_hits,
    measure_accuracy,
    predict,
    write_predictions_csv,
)
from edge_convnext.measure.to_report import report_accuracy
from edge_convnext.runtimes import RuntimeInfo
from edge_convnext.runtimes.load import load_runtime


def predictions_of(guesses: list[int], labels: list[int], classes: int = 3) -> Predictions:
    logits = np.eye(classes, dtype=np.float32)[guesses] * 4
    return Predictions(logits, np.array(labels), tuple(f"{i:064x}" for i in range(len(labels))))


def test_batches_of_any_size_become_one_set_of_logits(tmp_path):
    images = make_images(7)
    runtime = load_runtime("onnxruntime", write_graph(tmp_path / "g.onnx"))
    logits = predict(runtime, [images[:4], images[4:]])
    np.testing.assert_allclose(logits, expected_logits(images), atol=1e-5)


def test_no_images_are_an_error_and_no_division_by_zero(tmp_path):
    runtime = load_runtime("onnxruntime", write_graph(tmp_path / "g.onnx"))
    with pytest.raises(DataError, match="no images"):
        predict(runtime, [])
    with pytest.raises(DataError, match="no images"):
        Predictions(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), ())


def test_logits_that_overflow_are_an_error_and_no_accuracy(tmp_path):
    images = make_images(3)
    images[1] = np.nan
    runtime = load_runtime("onnxruntime", write_graph(tmp_path / "g.onnx"))
    with pytest.raises(
        InferenceError, match=r"1 of 3 images .* check the weights and the preprocessing"
    ):
        predict(runtime, [images])


def test_flips_are_counted_per_class():
    reference = predictions_of([0, 1, 1, 2], [0, 1, 1, 1])
    candidate = predictions_of([1, 2, 1, 1], [0, 1, 1, 1])
    assert count_class_flips(reference, candidate) == [(1, 0), (1, 1), (0, 0)]
    report = report_accuracy(candidate, ("a", "b", "c"), reference)
    assert [(one.n, one.lost, one.won) for one in report.per_class.values()] == [
        (1, 1, 0), (3, 1, 1), (0, 0, 0)
    ]  # fmt: skip
    alone = report_accuracy(reference, ("a", "b", "c"))
    assert {(one.lost, one.won) for one in alone.per_class.values()} == {(None, None)}
    with pytest.raises(ValueError, match="same images"):
        count_class_flips(reference, predictions_of([0, 0, 0, 0], [0, 0, 1, 1]))


def test_accuracy_is_counted_overall_and_per_class():
    accuracy = measure_accuracy(
        predictions_of([0, 1, 1, 0], [0, 1, 1, 1]), ("early", "healthy", "late")
    )
    assert (accuracy.n_images, accuracy.top1_pct) == (4, 75.0)
    assert accuracy.per_class["healthy"].n == 3
    assert accuracy.per_class["healthy"].top1_pct == pytest.approx(200 / 3)
    assert (accuracy.per_class["late"].n, accuracy.per_class["late"].top1_pct) == (0, None)


def test_top_5_exists_from_6_classes_on():
    assert measure_accuracy(predictions_of([0], [4], classes=5)).top5_pct is None
    assert measure_accuracy(predictions_of([0, 0], [4, 5], classes=6)).top5_pct == 50.0


def test_classes_without_names_are_numbered():
    assert list(measure_accuracy(predictions_of([0], [0])).per_class) == ["0", "1", "2"]


def test_labels_and_names_that_do_not_fit_the_model_are_named():
    with pytest.raises(DataError, match="labels run from 0 to 3, but the model has 3 classes"):
        predictions_of([0, 0], [0, 3])
    with pytest.raises(DataError, match="2 class names for a model with 3"):
        measure_accuracy(predictions_of([0], [0]), ("a", "b"))
    with pytest.raises(ValueError, match="not one set"):
        Predictions(np.zeros((2, 3), np.float32), np.zeros(1, np.int64), ("a",))


@pytest.mark.parametrize("names", [5, 6])
def test_counting_as_it_goes_gives_what_all_logits_give(names):
    random = np.random.default_rng(0)
    logits = random.integers(0, 3, (9001, names)).astype(np.float32)  # with ties
    labels = random.integers(0, names - 1, 9001)  # the last class has no image
    classes = [f"class {index}" for index in range(names)]
    hashes = tuple(map(str, range(9001)))

    class Echo:
        def infer(self, images):
            return images

        def describe(self):
            return RuntimeInfo("echo", "1", 1, None, {})

    found = count_hits(Echo(), np.array_split(logits, 700), labels, classes)
    assert found == measure_accuracy(Predictions(logits, labels, hashes), classes)
    with pytest.raises(DataError, match="no images"):
        count_hits(Echo(), [], labels, classes)


def test_a_drop_is_positive_when_the_candidate_is_worse():
    labels = [0] * 100
    reference = predictions_of([0] * 90 + [1] * 10, labels)
    candidate = predictions_of([1] * 5 + [0] * 86 + [2] * 9, labels)
    comparison = compare_predictions(reference, candidate)
    assert (comparison.lost, comparison.won, comparison.n_images) == (5, 1, 100)
    assert comparison.top1_drop_pp == 4.0
    assert comparison.agreement_pct == 85.0
    low, high = comparison.top1_drop_ci95_pp
    assert low < 4.0 < high
    mirrored = compare_predictions(candidate, reference)
    assert mirrored.top1_drop_pp == -4.0
    assert mirrored.top1_drop_ci95_pp == pytest.approx((-high, -low))


def test_equal_predictions_still_have_an_interval_with_a_width():
    one = predictions_of([0, 1, 2] * 100, [0, 1, 2] * 100)
    comparison = compare_predictions(one, one)
    assert (comparison.top1_drop_pp, comparison.agreement_pct) == (0.0, 100.0)
    assert comparison.sqnr_db is None
    assert comparison.top1_drop_ci95_pp == pytest.approx((-1.264, 1.264), abs=1e-3)


def test_predictions_of_other_images_are_not_compared():
    one = predictions_of([0, 1], [0, 1])
    other = Predictions(one.logits, one.labels, one.sha256s[::-1])
    with pytest.raises(ValueError, match="same images"):
        compare_predictions(one, other)


def test_predictions_are_written_one_line_per_image(tmp_path):
    fp32 = predictions_of([0, 2], [0, 1])
    int8 = Predictions(fp32.logits[:, ::-1].copy() / 2, fp32.labels, fp32.sha256s)
    path = tmp_path / "predictions.csv"
    write_predictions_csv(path, {"fp32": fp32, "int8": int8}, ("early, mild", "healthy", "late"))
    content = path.read_bytes()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "sha256": "0" * 64,
        "label": "early, mild",
        "fp32_top1": "early, mild",
        "fp32_margin": "4.0000",
        "int8_top1": "late",
        "int8_margin": "2.0000",
    }
    assert len(rows) == 2
    assert b"\r" not in content
    write_predictions_csv(path, {"fp32": fp32, "int8": int8}, ("early, mild", "healthy", "late"))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_one_file_of_predictions_is_of_one_set_of_images(tmp_path):
    fp32 = predictions_of([0, 1], [0, 1])
    other = Predictions(fp32.logits, fp32.labels, fp32.sha256s[::-1])
    with pytest.raises(ValueError, match="same images"):
        write_predictions_csv(tmp_path / "p.csv", {"fp32": fp32, "int8": other})
    assert not list(tmp_path.iterdir())
