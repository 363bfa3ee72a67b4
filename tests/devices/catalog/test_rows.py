import json
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from support.device_table import TABLE, printed

from edge_convnext.cli.views.devices import print_device, print_targets
from edge_convnext.devices.catalog import rows as table
from edge_convnext.devices.catalog.lookup import find_jetpack
from edge_convnext.devices.catalog.rows import Fact, Table, load_table

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
