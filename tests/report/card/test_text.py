import pytest
import yaml
from support.example_report import SHA, example_fields, example_report, without_measurements

from edge_convnext.report.card.stated import Stated
from edge_convnext.report.card.text import card_text, metadata_of, model_files

HUB = {"source": "timm/convnextv2_atto@" + "a" * 40, "sha256": SHA, "licence": None}
HOSTILE = "</details><script>alert(1)</script>\n---\nlicense: mit\x1b[2J"


def front_matter(text):
    _, front, rest = text.split("---\n", 2)
    return yaml.safe_load(front), rest


def test_the_metadata_come_first_and_are_the_hubs():
    report = example_report(model={**example_fields()["model"], "weights": HUB})
    front, rest = front_matter(card_text(report, Stated(None, ("imagenet-1k",))))
    assert front["base_model"] == "timm/convnextv2_atto"
    assert (front["base_model_relation"], front["datasets"]) == ("quantized", ["imagenet-1k"])
    assert (front["pipeline_tag"], front["metrics"]) == ("image-classification", ["accuracy"])
    assert "license" not in front
    (result,) = front["model-index"][0]["results"]
    assert [one["name"] for one in result["metrics"]] == [
        "Top-1 accuracy, FP32", "Top-1 accuracy, INT8",
    ]  # fmt: skip
    assert all(0.0 <= one["value"] <= 1.0 for one in result["metrics"])
    assert "Not known: the source of the weights states none" in rest


def test_the_hubs_own_client_reads_them():
    hub = pytest.importorskip("huggingface_hub", reason="the build extra is not installed")
    card = hub.ModelCard(card_text(example_report(), Stated("mit")))
    assert card.data.license == "mit"
    assert card.data.eval_results[0].metric_type == "accuracy"
    assert "int8" in card.data.tags


def test_what_was_not_measured_is_not_claimed():
    report = example_report(**without_measurements("evaluate", "benchmark"))
    fields = metadata_of(report, Stated())
    assert "metrics" not in fields
    text = card_text(report, Stated())
    assert "No accuracy was measured: random weights" in text
    assert "No latency was measured: random weights" in text


def test_no_path_of_the_user_is_in_it():
    fields = example_fields(folder="/home/anna/build")
    fields["data"]["source"] = "/home/anna/leaves.csv"
    fields["data"]["split"] = "by the split column of leaves.csv"
    fields["recipe"]["data"] = {"source": "/home/anna/leaves.csv"}
    text = card_text(example_report(**fields), Stated())
    assert "anna" not in text
    assert "leaves" not in text


def test_hostile_names_stay_text_and_add_no_metadata():
    fields = example_fields()
    model = {**fields["model"], "name": HOSTILE, "classes": [HOSTILE, "b", "c"]}
    verdict = {**fields["verdict"], "reasons": [HOSTILE]}
    text = card_text(example_report(model=model, verdict=verdict, banner=HOSTILE), Stated())
    front, rest = front_matter(text)
    assert front["license"] == "cc-by-nc-4.0"
    assert "<script>" not in rest
    assert "\x1b" not in text


def test_models_are_published_and_lists_of_images_are_not():
    fields = example_fields()
    outputs = [{**fields["outputs"][0], "path": name} for name in ("predictions.csv", "report.md")]
    report = example_report(outputs=[*fields["outputs"], *outputs])
    assert model_files(report) == ("model.fp32.onnx", "model.int8.onnx", "model.int8.rtx.engine")


def test_the_file_that_ships_is_the_one_in_the_example():
    fields = example_fields()
    assert 'load_model("model.int8.onnx")' in card_text(example_report(), Stated())
    shipped = example_report(verdict={**fields["verdict"], "ship": "fp32"})
    assert 'load_model("model.fp32.onnx")' in card_text(shipped, Stated())
    assert "`deploy`" in card_text(example_report(outputs=[]), Stated())
