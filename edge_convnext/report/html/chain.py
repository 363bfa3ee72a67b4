"""The end of the page: the chain with its times, the data, the machine, the recipe, the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.data_table import data_rows, setting_rows
from edge_convnext.report.environment_table import environment_rows
from edge_convnext.report.html.parts import (
    NOT_RECORDED,
    Bullets,
    Figure,
    Picture,
    Section,
    Words,
    make_table,
)
from edge_convnext.report.html.picture import ROW, Bar, axis, bars, make_scale
from edge_convnext.report.recipe_file import recipe_text
from edge_convnext.report.stage_table import stage_note

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Limits

__all__ = ["chain_section", "data_section", "environment_section", "recipe_section"]


def chain_section(report: Report, limits: Limits) -> Section:
    """Each stage, how long it took, and whether its result came from the cache."""
    timed = [stage for stage in report.stages if stage.seconds is not None]
    rows = (
        (one.name, one.status.replace("_", " "), _seconds(one.seconds), stage_note(one))
        for one in report.stages
    )
    table = make_table("Every stage", ("stage", "status", "seconds", "note"), rows, limits)
    if not timed:
        told = Words(f"Times of the stages: {NOT_RECORDED}.", "missing")
        return Section("chain", "The chain", (told, table), "report.json: stages")
    drawn = [
        Bar(
            f"{one.name}{' (cached)' if one.status == 'cached' else ''}",
            one.seconds or 0.0,
            f"{one.seconds:.1f} s",
            "good" if one.status == "cached" else "plain",
        )
        for one in timed
    ]
    scale = make_scale([bar.value for bar in drawn], zero=True)
    bottom = len(drawn) * ROW
    total = sum(bar.value for bar in drawn)
    picture = Picture(
        anchor="chain",
        title=f"Seconds by stage, {total:.1f} s in all",
        description="; ".join(f"{bar.name}: {bar.shown}" for bar in drawn),
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, "seconds"), *bars(drawn, scale)),
        legend=(("plain", "computed"), ("good", "from the cache")),
    )
    return Section("chain", "The chain", (Figure(picture, table),), "report.json: stages")


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def data_section(report: Report, limits: Limits) -> Section:
    """The images, and every setting with who stated it."""
    source = "report.json: data, settings"
    facts = data_rows(report)
    facts += [("classes", f"{report.model.num_classes:,}")] if facts else []
    headings = ("what", "value")
    known = (
        make_table("Data and calibration", headings, facts, limits, folded=False)
        if facts
        else Words(f"Data: {NOT_RECORDED}.", "missing")
    )
    settings = setting_rows(report)
    if not settings:
        told = Words(f"What was read, and from where: {NOT_RECORDED}.", "missing")
        return Section("data", "Data", (known, told), source)
    title = "What was read, and from where"
    table = make_table(title, ("setting", "value", "source"), settings, limits)
    return Section("data", "Data", (known, *_guessed(report), table), source)


def _guessed(report: Report) -> list[Words]:
    """What nobody stated."""
    defaults = [one.name for one in report.settings if one.source == "default"]
    if not defaults:
        return []
    return [Words(f"Nothing states these, and a default is used: {', '.join(defaults)}.")]


def environment_section(report: Report, limits: Limits) -> Section:
    """The machine and its versions."""
    rows = environment_rows(report)
    table = make_table("What it was measured on", ("what", "value"), rows, limits, folded=False)
    return Section("environment", "Environment", (table,), "report.json: environment")


def recipe_section(report: Report, limits: Limits) -> Section:
    """Every field of the recipe, and the files with their hashes."""
    text = recipe_text(report.repeatable_recipe)
    lines = text.splitlines()
    shown = (*lines[: limits.lines], *(["..."] if len(lines) > limits.lines else []))
    recipe = Bullets(tuple(shown), title=f"The recipe, {len(lines):,} lines", code=True)
    rows = ((file.path, f"{file.bytes:,}", file.sha256) for file in report.outputs)
    files = make_table("Files", ("file", "bytes", "SHA-256"), rows, limits)
    return Section("recipe", "Recipe and files", (recipe, files), "report.json: recipe, outputs")
