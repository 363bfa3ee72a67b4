import io
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from rich.console import Console

from edge_convnext.cli.views.devices import print_device, print_targets
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import EngineConfig
from edge_convnext.devices.catalog import rows as table
from edge_convnext.devices.catalog.delivery import advise, deliver, deliver_to_board, deliver_to_gpu
from edge_convnext.devices.catalog.lookup import find_device, find_gpu, find_jetpack
from edge_convnext.devices.catalog.rows import Fact, Table, load_table
from edge_convnext.devices.catalog.rtx import RTX_CAPABILITIES, check_rtx_capabilities
from edge_convnext.devices.catalog.this_gpu import match_gpu

TABLE = load_table()
FIELDS = TABLE.model_dump(mode="json")


def test_every_group_of_values_has_a_source_with_a_title():
    rows = [*TABLE.jetpacks, *TABLE.architectures]
    for fact in [*rows, *(fact for device in TABLE.devices for fact in device.facts.values())]:
        assert isinstance(fact, Fact)
        assert all(TABLE.sources[key].title for key in fact.sources)


def test_nothing_recalled_is_sold_as_verified():
    recalled = [
        (device.name, name)
        for device in TABLE.devices
        for name, fact in device.facts.items()
        if "recalled" in fact.sources and not fact.unverified
    ]
    assert recalled == []


def test_the_devices_asked_for_are_there():
    names = {device.name for device in TABLE.devices}
    assert names >= {"orin-nano-4gb", "orin-nano-8gb", "orin-nx-8gb", "orin-nx-16gb"}
    assert names >= {"agx-orin-32gb", "agx-orin-64gb", "thor-t5000", "thor-t4000", "rtx-5090"}
    assert {device.compute.capability for device in TABLE.devices if device.family} == {
        "7.2",
        "8.7",
        "11.0",
    }


def test_super_mode_never_lowers_a_figure():
    for device in TABLE.devices:
        if device.boost:
            assert device.peak
            assert device.boost.int8_dense_tops > device.peak.int8_dense_tops
            faster = device.boost.bandwidth_gb_s or device.memory.bandwidth_gb_s
            assert faster >= device.memory.bandwidth_gb_s


def test_the_jetpack_map_has_no_gaps():
    releases = [release for row in TABLE.jetpacks for release in row.releases]
    assert releases == sorted(releases, key=lambda text: [int(part) for part in text.split(".")])
    for row in TABLE.jetpacks:
        assert set(row.dla_families) <= set(row.families)
        assert row.unverified == (row.note is not None)
        for release, version in row.releases.items():
            assert find_jetpack(release).version == version
    families = {device.family for device in TABLE.devices if device.family}
    assert families == {family for row in TABLE.jetpacks for family in row.families}


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("devices", {"colour": "green"}),
        ("devices", {"name": "Orin Nano"}),
        ("devices", {"compute": {"capability": 8.7, "sources": ["cuda-gpus"]}}),
        ("devices", {"compute": {"capability": "sm_87", "sources": ["cuda-gpus"]}}),
        ("devices", {"compute": {"capability": "8.7", "sources": []}}),
        ("devices", {"compute": {"capability": "8.7", "sources": ["hearsay"]}}),
        ("devices", {"compute": {"capability": "9.9", "sources": ["cuda-gpus"]}}),
        ("devices", {"compute": {"capability": "8.7", "sources": ["recalled"]}}),
        ("devices", {"name": "orin-nano-8gb"}),
        ("devices", {"family": "jetson-nano"}),
        ("devices", {"dla": None}),
        ("devices", {"family": None}),
        ("jetpacks", {"python": 3.8}),
        ("jetpacks", {"releases": {"36.3.0": "6.0"}}),
        ("jetpacks", {"releases": {}}),
        ("architectures", {"try_first": "int4"}),
    ],
)
def test_a_mistake_in_the_table_is_refused(file, change):
    first, *rest = FIELDS[file]
    with pytest.raises(ValidationError):
        Table.model_validate({**FIELDS, file: [{**first, **change}, *rest]})


def test_a_source_that_nothing_uses_is_refused():
    sources = {**FIELDS["sources"], "unused": {"title": "a page"}}
    with pytest.raises(ValidationError, match="unused"):
        Table.model_validate({**FIELDS, "sources": sources})


def test_a_board_without_a_jetpack_is_refused():
    rows = [row for row in FIELDS["jetpacks"] if "xavier-nx" not in row["families"]]
    with pytest.raises(ValidationError):
        Table.model_validate({**FIELDS, "jetpacks": rows})


def test_the_data_lies_in_the_package():
    folder = Path(table.__file__).parent
    files = {path.name for path in folder.glob("*.yaml")}
    assert files == {
        "architectures.yaml",
        "gpus.yaml",
        "jetpacks.yaml",
        "jetsons.yaml",
        "rails.yaml",
        "sources.yaml",
    }


def test_the_slow_yaml_loader_reads_the_same(monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    load_table.cache_clear()
    try:
        assert load_table() == TABLE
    finally:
        load_table.cache_clear()


@pytest.mark.parametrize(
    ("release", "version", "note"),
    [
        ("36.4.3", "6.2", None),
        ("36.4", "6.1", None),
        ("35.6.4", "5.1.6", None),
        ("39.2.0", "7.2", None),
        ("36.4.9", "6.2.1", "36.4.9 is not in the table; the nearest is 36.4.7, JetPack 6.2.1"),
        ("36.99", "6.2.3", "the nearest is 36.5.2"),
        ("35.1.0", "5.1", "the nearest is 35.2.1"),
        ("32.7.1", None, "32.7.1 is not in the table, which has 35 to 39"),
        ("40.0.0", None, "which has 35 to 39"),
    ],
)
def test_a_release_of_jetson_linux_is_looked_up_or_its_nearest_is_told(release, version, note):
    match = find_jetpack(release)
    assert match.version == version
    assert (match.row is None) == (version is None)
    assert (note is None and match.note is None) or note in match.note


def test_jetpack_5_is_onnx_only_and_says_why():
    row = find_jetpack("35.4.1").row
    way = deliver_to_board(row)
    assert way.kind == "onnx_only"
    assert "Python 3.8, edge-convnext needs 3.10" in way.reason
    assert "TensorRT 8.5.2 without LayerNormalization" in way.reason


def test_newer_jetpacks_wait_for_an_engine_built_on_the_board():
    way = deliver(find_device("orin-nano-8gb"))
    assert way.kind == "on_board"
    assert way.status.startswith("`edge-convnext engine` builds on the machine")
    assert way.status in way.text


def test_the_rtx_engine_is_for_what_it_is_built_for():
    built = EngineConfig().compute_capabilities
    assert {deliver_to_gpu(capability).kind for capability in built} == {"rtx_ahead"}
    assert {deliver_to_gpu(each).kind for each in RTX_CAPABILITIES} == {"rtx_ahead"}
    assert deliver_to_gpu("9.0").kind == "on_board"
    assert deliver_to_gpu("7.0").kind == "onnx_only"
    kinds = {device.name: deliver(device).kind for device in TABLE.devices}
    assert kinds["rtx-4090"] == kinds["t4"] == "rtx_ahead"
    assert kinds["agx-xavier-32gb"] == "onnx_only"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("t4", "--target rtx --compute-capability 7.5"),
        ("rtx-4090", "--target rtx --compute-capability 8.9"),
        ("orin-nano-8gb", "--target tensorrt"),
        ("xavier-nx-8gb", "--target cpu"),
    ],
)
def test_a_device_ends_with_the_command_that_builds_for_it(name, line):
    shown = printed(print_device, find_device(name), TABLE).rstrip()
    assert shown.splitlines()[-1].strip().endswith(line)
    assert shown.splitlines()[-1].startswith("Next: edge-convnext build")


@pytest.mark.parametrize(
    ("capabilities", "message"),
    [
        (["8.6", "8.7"], "8.7 is a Jetson Orin: --target tensorrt"),
        (["7.2"], "Jetson Xavier, which gets ONNX files only"),
        (["9.0"], "compiles for 7.5, 8.0, 8.6, 8.9, 12.0, 12.1; a machine"),
        (["8.6", "8.6"], "each once"),
        ([], "each once"),
    ],
)
def test_capabilities_that_rtx_can_t_compile_for_are_refused(capabilities, message):
    check_rtx_capabilities(["current"])
    with pytest.raises(RecipeError, match=re.escape(message)):
        check_rtx_capabilities(capabilities)


def test_the_list_is_that_of_the_installed_tensorrt_for_rtx():
    tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="the rtx extra is not installed")
    names = [name for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")]
    assert {f"{name[2:-1]}.{name[-1]}" for name in names} == set(RTX_CAPABILITIES)


def test_advice_names_a_precision_of_the_hardware():
    for row in TABLE.architectures:
        assert row.try_first in row.precisions
        assert advise(row.compute_capability).reason
    assert advise("9.0") is None
    assert advise(None) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4070 Ti", "rtx-4070-ti"),
        ("NVIDIA GeForce RTX 4070 Laptop GPU", None),
        ("NVIDIA A10", "a10"),
        ("NVIDIA A10G", None),
        ("Tesla T4", "t4"),
        ("", None),
    ],
)
def test_a_gpu_is_found_by_the_name_nvidia_smi_gives(name, found):
    device = find_gpu(name)
    assert (device and device.name) == found


def test_a_gpu_that_is_not_listed_is_told_by_its_compute_capability():
    target = match_gpu("NVIDIA GeForce RTX 4070 Laptop GPU", "8.9")
    assert (target.device, target.delivery.kind) == (None, "rtx_ahead")
    assert target.advice.try_first == "fp16"
    assert target.notes[0].endswith("not in the table, known by its compute capability 8.9")
    unknown = match_gpu("NVIDIA H100 PCIe", "9.0")
    assert (unknown.delivery.kind, unknown.advice) == ("on_board", None)
    assert match_gpu("Some GPU", None).delivery is None


def test_what_the_machine_says_of_its_gpu_goes_before_the_table():
    target = match_gpu("NVIDIA L4", "9.0")
    assert target.delivery.kind == "on_board"
    assert target.notes == ("the table has compute capability 8.9 for the L4",)
    assert match_gpu("NVIDIA L4", None).delivery.kind == "rtx_ahead"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("orin-nono-8gb", "did you mean 'orin-nano-8gb'"),
        ("ORIN-NANO-8GB", "did you mean 'orin-nano-8gb'?"),
        ("RTX 4090", "did you mean 'rtx-4090'?"),
        ("nano", "did you mean 'orin-nano-4gb' or 'orin-nano-8gb'?"),
        ("a100", "no device 'a100'; `edge-convnext targets` lists"),
    ],
)
def test_an_unknown_device_is_told_with_what_was_meant(name, meant):
    with pytest.raises(RecipeError) as caught:
        find_device(name)
    assert meant in str(caught.value)
    assert "`edge-convnext targets` lists all" in str(caught.value)
    assert len(str(caught.value)) < 160


def printed(show, *arguments, width=120):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(*arguments, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_and_mark_what_is_unverified(width):
    text = printed(print_targets, TABLE, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert all(device.name in text for device in TABLE.devices)
    assert "Xavier, Orin" in text
    assert "?: unverified" in text
    assert "not yet run on a GPU" in " ".join(text.split())


def test_a_figure_has_its_question_mark_beside_it():
    text = printed(print_targets, TABLE)
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "34 / 51?" in lines["orin-nano-4gb"]
    assert "68 / 102 " in lines["orin-nano-8gb"]
    assert "24?" in lines["rtx-4090"]
    assert "8.9?" not in lines["rtx-4090"]


@pytest.mark.parametrize("device", TABLE.devices, ids=lambda device: device.name)
def test_a_device_is_shown_with_every_source_it_names(device):
    text = printed(print_device, device, TABLE)
    assert device.title in text
    for fact in device.facts.values():
        assert all(key in text for key in fact.sources)
    assert ("unverified" in text) == (
        any(fact.unverified for fact in device.facts.values()) or device.family is not None
    )
    assert ("JetPack" in text) == (device.family is not None)


def call(capsys, monkeypatch, *arguments):
    from edge_convnext import cli

    monkeypatch.setattr(sys, "argv", ["edge-convnext", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    return stopped.value.code or 0, captured.out, captured.err


def test_the_command_lists_and_shows(capsys, monkeypatch):
    code, out, err = call(capsys, monkeypatch, "targets")
    assert (code, err) == (0, "")
    assert "orin-nano-8gb" in out
    code, out, err = call(capsys, monkeypatch, "targets", "thor-t5000")
    assert (code, err) == (0, "")
    assert "273 GB/s" in out


def test_the_json_is_the_whole_table(capsys, monkeypatch):
    code, out, err = call(capsys, monkeypatch, "targets", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "edge-convnext/targets/1"
    assert document["classic_tensorrt"].startswith("`edge-convnext engine` builds")
    assert len(document["devices"]) == len(TABLE.devices)
    assert set(document["sources"]) == set(TABLE.sources)
    nano = next(row for row in document["devices"] if row["name"] == "orin-nano-8gb")
    assert nano["memory"]["bandwidth_gb_s"] == 68
    assert nano["delivery"]["kind"] == "on_board"


def test_the_json_of_one_device_has_what_it_refers_to(capsys, monkeypatch):
    _, out, _ = call(capsys, monkeypatch, "targets", "xavier-nx-8gb", "--json")
    document = json.loads(out)
    assert [row["name"] for row in document["devices"]] == ["xavier-nx-8gb"]
    assert {row["delivery"]["kind"] for row in document["jetpacks"]} == {"onnx_only"}
    assert [row["compute_capability"] for row in document["architectures"]] == ["7.2"]
    assert "thor-datasheet" not in document["sources"]
    _, out, _ = call(capsys, monkeypatch, "targets", "l4", "--json")
    assert json.loads(out)["jetpacks"] == []


def test_an_unknown_device_is_one_line_and_exit_code_3(capsys, monkeypatch):
    code, out, err = call(capsys, monkeypatch, "targets", "raspberry-pi")
    assert (code, out) == (3, "")
    assert err.startswith("error: no device 'raspberry-pi'; `edge-convnext targets` lists all ")
    assert err.count("\n") == 1
    assert call(capsys, monkeypatch, "targets", "--no-such-flag")[0] == 2
