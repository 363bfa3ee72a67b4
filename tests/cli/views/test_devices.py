import io

import pytest
from rich.console import Console

from edge_convnext.cli.views.devices import print_device, print_targets
from edge_convnext.devices.catalog.delivery import deliver
from edge_convnext.devices.catalog.lookup import find_device
from edge_convnext.devices.catalog.rows import load_table

TABLE = load_table()


def printed(show, *arguments, width=120):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(*arguments, console)
    return console.file.getvalue()


def test_a_narrow_terminal_loses_columns_and_no_device():
    wide, narrow = printed(print_targets, TABLE), printed(print_targets, TABLE, width=80)
    for heading, legend in (("power", None), ("DLA", "DLA: cores")):
        assert f" {heading} " in wide
        assert f" {heading} " not in narrow
        assert legend is None or (legend in wide and legend not in narrow)
    assert all(device.name in narrow for device in TABLE.devices)
    assert "build --target arm-cpu checks its graphs here" in wide


def test_families_of_one_generation_are_named_together():
    (both,) = (row for row in TABLE.jetpacks if row.title == "5.1 to 5.1.4")
    assert "Xavier, Orin" in printed(print_targets, TABLE.model_copy(update={"jetpacks": (both,)}))
    fewer = both.model_copy(update={"families": ("agx-orin", "xavier-nx", "agx-xavier")})
    text = printed(print_targets, TABLE.model_copy(update={"jetpacks": (fewer,)}))
    assert "agx-orin, Xavier" in text


@pytest.mark.parametrize("name", ["orin-nano-8gb", "rtx-4090"])
def test_a_device_is_told_with_its_delivery_and_what_comes_next(name):
    device = find_device(name)
    text = " ".join(printed(print_device, device, TABLE).split())
    way = deliver(device)
    assert text.startswith(f"{device.title} ({name})")
    assert way.text in text
    assert text.endswith(f"Next: {way.next_line}")
    assert "GB/s" in text
    assert "dense INT8 TOPS" in text
