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
    seen = {"platform": "Linux x86_64", "fingerprint": "[machine]"}
    assert found.environment == report.environment.model_copy(update=seen)
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


PLACES = {
    "source": ("data", "source"), "calibration": ("data", "calibration"),
    "labels": ("data", "labels"), "weights": ("load", "weights"),
}  # fmt: skip


@pytest.mark.parametrize("stated", ["recipe", "stated_recipe"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name", ["secretpatients", "secret patients", "secretpatients.pth", "secret-p/x y/z"]
)
def test_a_place_without_a_slash_is_hidden_in_its_field_and_in_sentences(stated, place, name):
    section, field = PLACES[place]
    found = public(
        **{stated: {"name": "custom", section: {field: name}}},
        data={**example_fields()["data"], "source": name, "calibration_source": name},
        notes=[f"{name} is empty", f"by the split of {name}", f"{name.upper()}: {name}/a b"],
    )
    shown = found.to_json() + page_of(found)
    assert "secret" not in shown.lower()
    assert getattr(found, stated)[section][field] == found.data.source == "[path]"
    assert found.data.calibration_source == "[path]"
    assert found.notes[:2] == ("[path] is empty", "by the split of [path]")


def test_names_of_recipes_and_machines_are_hidden_too():
    report = example_report(
        recipe={"name": "secret-study", "about": "of Ada's patients", "precision": "int8"},
        notes=["secret-study: timed on 8e672979fdd98ae5 with Linux 6.1."],
        environment={**example_fields()["environment"], "platform": "Linux-6.1.9-ada-x86_64-glibc"},
    )
    found = make_public(report)
    assert found.recipe == {"name": "[name]", "about": "[name]", "precision": "int8"}
    shown = found.to_json() + page_of(found)
    for secret in ("secret-study", "Ada", "ada-x86", "6.1.9", "8e672979"):
        assert secret not in shown
    assert found.environment.platform == "Linux x86_64"
    assert public(recipe={"name": "custom"}).recipe["name"] == "custom"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photos/alice is empty", "[path] is empty"),
        ("see alice/photos/2020.", "see [path]."),
        ("photos\\alice: empty", "[path]: empty"),
        ("'/media/usb drive/alice' is empty", "'[path]' is empty"),
        ("/media/usb drive/alice", "[path]"),
        ("C:\\Users\\alice\\My docs\\x y", "[path]"),
        ("at 203.0.113.7.", "at [host]."),
        ("at fe80::1ff:fe23:4567:890a%eth0, now", "at [host], now"),
        ("at 2001:db8::7: refused", "at [host]: refused"),
        ("on nas01.corp.example.com", "on [host]"),
        ("on nas.local, too", "on [host], too"),
    ],
)
def test_what_tells_a_place_or_a_host_is_hidden_in_a_sentence(text, shown):
    assert public(notes=[text]).notes == (shown,)


@pytest.mark.parametrize(
    "text",
    [
        "At 12:30:05 CUDA 12.4.1.3 and driver 550.54.15 took 24/7 of MB/s.",
        "gpu/int8.b1.onnx and cpu/fp32.openvino.onnx stay, model.int8.rtx.engine too.",
        "A std::string, and from :: to e.g. stages.0.blocks.1.conv at 1.5 ms.",
        "hf:owner/name and timm:convnext_atto.d2_in1k are names on a hub.",
    ],
)
def test_what_is_of_nobody_stays_in_a_sentence(text):
    assert public(notes=[text]).notes == (text,)


@pytest.mark.parametrize("source", ["random", "demo", "digits", "owner/name@0123456789abcdef"])
def test_words_of_our_own_and_revisions_on_a_hub_stay_in_their_fields(source):
    weights = {**example_fields()["model"]["weights"], "source": source}
    found = public(
        model={**example_fields()["model"], "weights": weights},
        recipe={"name": "custom", "load": {"weights": source}},
    )
    assert (found.model.weights.source, found.recipe["load"]["weights"]) == (source, source)


@pytest.mark.parametrize("name", ["int8", "raw", "outputs", "images", "done", "convnextv2_atto"])
def test_a_place_called_as_a_word_of_the_report_spoils_no_field(name):
    report = example_report(notes=[f"The {name} of it."], data={
        **example_fields()["data"], "source": name})  # fmt: skip
    found = make_public(report)
    assert found.data.source == "[path]"
    assert (found.stages, found.benchmark) == (report.stages, report.benchmark)
    assert found.model.name == report.model.name


def test_files_of_stages_in_the_users_cache_are_hidden():
    stages = example_fields()["stages"]
    cached = {"path": "/home/ada/.cache/edge-convnext/x/raw.onnx", "sha256": "0" * 64, "bytes": 1}
    stages = [{**one, "artifact": cached} if one["name"] == "load" else one for one in stages]
    found = public(stages=stages)
    assert "ada" not in found.to_json().replace("read", "")
    assert found.stage("load").artifact.path == "[path]"
