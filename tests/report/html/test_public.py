import json

import pytest
from support.example_report import OV_INT8, example_fields, example_report
from support.html_pages import check_page, page_of

from edge_convnext.report.contract import Report
from edge_convnext.report.html.public import make_public

SECRETS = [
    "/home/ada/secret-project/run 7/weights.pth",
    "~/secret-project/x",
    "../secret-project/images",
    "C:\\Users\\ada\\secret-project\\x.pth",
    "\\\\server\\secret-project",
    "data/secret-project/train.csv",
    "file:///mnt/secret-project",
    "secret-project.jpg",
    "my secret-project cat (1).JPEG",
    "ada@secret-project.example",
    "ssh://secret-project:22",
    "192.168.7.21",
    "10.1.2.3",
]


def public(**changes):
    return make_public(example_report(**changes))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "x: {}: can't be read", "from '{}' ({})", "a, {}; b"])
def test_paths_hosts_and_names_of_images_are_in_no_text(secret, around):
    text = around.format(secret, secret)
    setting = {"name": "labels", "value": [text], "source": text, "detail": text}
    found = public(
        notes=[text], settings=[setting], banner=text, recipe={"data": {"note": [text]}},
        verdict={**example_fields()["verdict"], "reasons": [text]},
    )  # fmt: skip
    shown = json.dumps(found.model_dump(mode="json")) + page_of(found)
    for word in ("secret-project", "ada", "192.168.7", "10.1.2.3"):
        assert word not in shown.replace("read", "")


@pytest.mark.parametrize("place", ["my images", "runs/ada", "/data/ada images/v2", "ada.csv"])
def test_a_place_that_the_report_names_is_hidden_wherever_it_is(place):
    data = {**example_fields()["data"], "source": f"{place}/x", "split": f"by {place}/x"}
    found = public(
        data=data, folder=f"{place}/out", notes=[f"{place}/x has 3 images", f"see {place}/out"]
    )
    assert place not in found.to_json()
    assert found.folder == "[path]"
    assert found.data.source == "[path]"


def test_figures_classes_nodes_versions_and_the_builds_own_files_stay():
    report = example_report(
        notes=[
            "gpu/int8.b1.onnx drops 0.21 pp at 12.5 mJ/image and 9 img/s: Q/DQ and/or float.",
            "TensorRT 10.3.0.26 built it; tensorrt-rtx 1.7.1.116 too.",
        ],
        refused=[{**OV_INT8, "reason": "x", "node": "/stages.0/Conv"}],
    )
    found = make_public(report)
    assert found.notes == report.notes
    assert found.model.classes == report.model.classes
    assert (found.accuracy, found.benchmark) == (report.accuracy, report.benchmark)
    assert found.refused == report.refused
    assert (found.stages, found.outputs) == (report.stages, report.outputs)
    assert found.environment == report.environment
    assert found.model.weights.source == "[path]"
    assert found.model.weights.sha256 == report.model.weights.sha256


def test_a_page_of_it_is_whole():
    fields = example_report(notes=["/home/ada/x.jpg"]).model_dump(mode="json", by_alias=True)
    page = check_page(page_of(make_public(Report.model_validate(fields))))
    assert "[image]" in page.text
    assert "potato_split" not in page.text


def test_hub_names_and_the_demo_stay():
    data = {**example_fields()["data"], "source": "digits"}
    weights = {**example_fields()["model"]["weights"], "source": "hf:owner/name"}
    found = public(data=data, model={**example_fields()["model"], "weights": weights})
    assert (found.data.source, found.model.weights.source) == ("digits", "hf:owner/name")
