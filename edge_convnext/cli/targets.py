"""`edge-convnext targets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_convnext.cli.completion import complete_device
from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

if TYPE_CHECKING:
    from edge_convnext.devices.catalog.rows import Device

__all__ = ["targets"]

_SCHEMA = "edge-convnext/targets/1"


def targets(
    device: Annotated[
        str | None,
        typer.Argument(
            help="Device to show in full, such as orin-nano-8gb.", autocompletion=complete_device
        ),
    ] = None,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the devices: their computing power, the software for them, and JetPack versions."""
    from edge_convnext.devices.catalog.lookup import find_device
    from edge_convnext.devices.catalog.rows import load_table

    table = load_table()
    chosen = find_device(device) if device is not None else None
    if json:
        print_json(_document(chosen))
        return
    from rich.console import Console

    from edge_convnext.cli.views.devices import print_device, print_targets

    if chosen is None:
        print_targets(table, Console())
    else:
        print_device(chosen, table, Console())


def _document(chosen: Device | None) -> dict[str, Any]:
    """The table of devices as plain values, or the part of it on one device."""
    from dataclasses import asdict

    from edge_convnext.devices.catalog.delivery import CLASSIC_TENSORRT, deliver, deliver_to_board
    from edge_convnext.devices.catalog.rows import load_table

    table = load_table()
    devices = table.devices if chosen is None else (chosen,)
    families = {device.family for device in devices}
    capabilities = {device.compute.capability for device in devices}
    jetpacks = [row for row in table.jetpacks if families & set(row.families)]
    architectures = [row for row in table.architectures if row.compute_capability in capabilities]
    facts = [fact for device in devices for fact in device.facts.values()]
    named = {key for fact in (*facts, *jetpacks, *architectures) for key in fact.sources}
    return {
        "schema": _SCHEMA,
        "classic_tensorrt": CLASSIC_TENSORRT,
        "devices": [
            {**device.model_dump(mode="json"), "delivery": asdict(deliver(device))}
            for device in devices
        ],
        "jetpacks": [
            {**row.model_dump(mode="json"), "delivery": asdict(deliver_to_board(row))}
            for row in jetpacks
        ],
        "architectures": [row.model_dump(mode="json") for row in architectures],
        "sources": {
            key: source.model_dump() for key, source in table.sources.items() if key in named
        },
    }
