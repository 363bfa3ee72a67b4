"""Print the table of devices, or one device with its sources, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import printer
from edge_convnext.devices.catalog.delivery import advise, deliver, deliver_to_board
from edge_convnext.devices.catalog.lookup import find_architecture
from edge_convnext.devices.catalog.rows import Architecture
from edge_convnext.report.summary import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from edge_convnext.devices.catalog import rows as table
    from edge_convnext.devices.catalog.delivery import DeliveryKind

__all__ = ["print_device", "print_targets"]

_UNVERIFIED = "?"
_WAYS: Mapping[DeliveryKind, str] = {
    "rtx_ahead": "engine built ahead of time with TensorRT for RTX, not yet run on a GPU",
    "on_board": "engine built on the board from the ONNX file, by JetPack's own TensorRT",
    "onnx_only": "Python or TensorRT there is too old",
}
_SHORT: Mapping[DeliveryKind, str] = {
    "rtx_ahead": "RTX engine",
    "on_board": "on board",
    "onnx_only": "ONNX only",
}
_GENERATIONS = {
    "Xavier": ("xavier-nx", "agx-xavier"),
    "Orin": ("orin-nano", "orin-nx", "agx-orin"),
    "Thor": ("thor",),
}
_UNITS = {
    "memory_gib": "GiB",
    "mib": "MiB",
    "bandwidth_gb_s": "GB/s",
    "int8_dense_tops": "dense INT8 TOPS",
}
_WIDE = 100  # columns that whole tables need
_LEFT_OUT_WHEN_NARROW = ("power", "DLA")
_DLA_LEGEND = "DLA: cores; for a JetPack, whether its TensorRT uses them (this project does not)"
_ARM = (
    "the CPU of an Arm board: build --target arm-cpu checks its graphs here; `bundle`, and `bench` "
    "on the board, time them"
)
_LEGEND = (
    f"{_UNVERIFIED}: unverified, from memory or without a source that says so",
    "a / b: without and with Super mode (JetPack 6.2 and later); INT8 TOPS: GPU alone, dense",
    "`edge-convnext targets DEVICE` shows one with its sources",
)


def print_targets(shown: table.Table, console: Console) -> None:
    """Print every device, every JetPack, and what this project can do with them."""
    show = printer(console)
    show(Text("Devices", style="bold"))
    narrow = _is_narrow(console)
    show(_device_table(shown.devices, narrow))
    show(Text("\nJetPack", style="bold"))
    show(_jetpack_table(shown.jetpacks, narrow))
    show(Text())
    ways = {way.kind: way for way in map(deliver, shown.devices)}
    for kind, short in _SHORT.items():
        status = ways[kind].status
        show(Text(f"{short}: {_WAYS[kind]}{f' ({status})' if status else ''}"))
    show(Text(_ARM))
    for line in _LEGEND if narrow else (*_LEGEND, _DLA_LEGEND):
        show(Text(line, style="dim"))


def print_device(device: table.Device, shown: table.Table, console: Console) -> None:
    """Print one device in full: each group of values with its sources."""
    show = printer(console)
    show(Text(f"{device.title} ({device.name})", style="bold"))
    facts = list(device.facts.items())
    if architecture := find_architecture(device.compute.capability):
        facts.append(("precision", architecture))
    rows = [row for row in shown.jetpacks if device.family in row.families]
    values = _grid(3)
    for name, fact in facts:
        values.add_row(name, _values_text(fact), _keys_text(fact))
    show(values)
    way = deliver(device)
    show(Text(f"\n{way.text}"))
    if advice := advise(device.compute.capability):
        show(Text(advice.text))
    if rows:
        show(Text("\nJetPack", style="bold"))
        show(_jetpack_table(rows, _is_narrow(console)))
        notes = _grid(3)
        for row in rows:
            notes.add_row(row.title, row.note or "", _keys_text(row))
        show(Text())
        show(notes)
    named = [key for fact in (*dict(facts).values(), *rows) for key in fact.sources]
    show(Text("\nSources", style="bold"))
    sources = _grid(2)
    for key in dict.fromkeys(named):
        source = shown.sources[key]
        sources.add_row(key, f"{source.title} {source.url or ''}".strip())
    show(sources)
    show(Text(f"\nNext: {way.next_line}"))


def _is_narrow(console: Console) -> bool:
    return console.is_terminal and console.width < _WIDE


def _device_table(devices: Iterable[table.Device], narrow: bool) -> Table:
    names = ("device", "cc", "GiB", "GB/s", "INT8 TOPS", "DLA", "power", "here")
    rows = []
    for device in devices:
        boost, memory, peak, power = device.boost, device.memory, device.peak, device.power
        cells = (
            device.name,
            _marked(device.compute.capability, device.compute),
            _marked(memory.memory_gib, memory),
            _pair(_marked(memory.bandwidth_gb_s, memory), boost, boost and boost.bandwidth_gb_s),
            _pair(
                _marked(peak.int8_dense_tops, peak) if peak else MISSING,
                boost,
                boost and boost.int8_dense_tops,
            ),
            _marked(device.dla.cores, device.dla) if device.dla else MISSING,
            _pair(
                _marked(" ".join(power.modes), power) if power else MISSING,
                boost,
                boost and " ".join(boost.modes),
            ),
            _SHORT[deliver(device).kind],
        )
        rows.append(cells)
    return _sheet(names, "lrrrrrll", rows, narrow)


def _jetpack_table(jetpacks: Iterable[table.Jetpack], narrow: bool) -> Table:
    names = ("JetPack", "Jetson Linux", "CUDA", "TensorRT", "Python", "boards", "DLA", "here")
    rows = []
    for row in jetpacks:
        releases = list(row.releases)
        ends = releases[0] if len(releases) == 1 else f"{releases[0]} to {releases[-1]}"
        cells = (
            _marked(row.title, row),
            ends,
            row.cuda,
            row.tensorrt,
            row.python,
            _boards_text(row.families),
            "yes" if row.dla_families else "no",
            _SHORT[deliver_to_board(row).kind],
        )
        rows.append(cells)
    return _sheet(names, "llrrrlll", rows, narrow)


def _boards_text(families: Sequence[str]) -> str:
    """Names of families; a generation's name stands for all of its families."""
    left = list(families)
    names = []
    for generation, members in _GENERATIONS.items():
        if set(members) <= set(left):
            names.append(generation)
            left = [family for family in left if family not in members]
    return ", ".join([*left, *names])


def _values_text(fact: table.Fact) -> str:
    if isinstance(fact, Architecture):
        return " ".join(fact.precisions)
    values = fact.model_dump(exclude={"sources", "unverified"}, exclude_none=True)
    return "\n".join(_value_text(name, value) for name, value in values.items())


def _value_text(name: str, value: Any) -> str:
    text = " ".join(value) if isinstance(value, tuple) else _number_text(value)
    for field, unit in _UNITS.items():
        if name.endswith(field):
            return f"{name.removesuffix(field).strip('_')} {text} {unit}".strip()
    return f"{text} {name}" if name == "cores" else text


def _keys_text(fact: table.Fact) -> Text:
    text = Text("unverified: " if fact.unverified else "", style="yellow")
    return text.append(", ".join(fact.sources), style="dim")


def _number_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _marked(value: object, fact: table.Fact) -> Text:
    """The value, with a question mark if its sources do not confirm it."""
    text = Text(_number_text(value))
    return text.append(_UNVERIFIED, style="yellow") if fact.unverified else text


def _pair(plain: Text | str, boost: table.Boost | None, boosted: object) -> Text:
    text = plain if isinstance(plain, Text) else Text(plain)
    return (
        text if boost is None or boosted is None else text + Text(" / ") + _marked(boosted, boost)
    )


def _sheet(
    names: Sequence[str], sides: str, rows: Iterable[Sequence[str | Text]], narrow: bool
) -> Table:
    left_out = _LEFT_OUT_WHEN_NARROW if narrow else ()
    kept = [position for position, name in enumerate(names) if name not in left_out]
    gap = 1 if narrow else 2
    sheet = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for position in kept:
        justify: Literal["left", "right"] = "right" if sides[position] == "r" else "left"
        # Only the texts of power modes have spaces to break a line at.
        sheet.add_column(names[position], justify=justify, no_wrap=names[position] != "power")
    for cells in rows:
        sheet.add_row(*(cells[position] for position in kept))
    return sheet


def _grid(columns: int) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for _ in range(columns):
        grid.add_column(overflow="fold")
    return grid
