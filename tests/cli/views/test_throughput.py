"""The table of `bench --mode throughput`."""

import io
from pathlib import Path

from rich.console import Console

from edge_convnext.cli.views.throughput import print_throughput
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.throughput import ThroughputResult, ThroughputRow, Wanted


def row(name, streams, rates, chosen):
    model = OnnxModel(Path(name), "int8", "conv")
    candidate = Candidate(model, name, "openvino", "f32", title=f"{name} [openvino]")
    return ThroughputRow(
        candidate, 4, 1, streams, streams, 90.0, rates[0], 1.0, 2.0, 100, rates, chosen
    )


def printed(*rows, limit=None, load=0.0):
    console = Console(file=io.StringIO(), width=120)
    print_throughput(ThroughputResult(rows, Wanted(90.0, limit), load), console)
    return console.file.getvalue()


def test_chosen_settings_are_compared_with_the_first_models():
    first, second = row("a", 2, (100.0,) * 6, True), row("b", 4, (150.0,) * 6, True)
    text = printed(first, row("b", 1, (90.0,) * 6, False), second)
    lines = text.splitlines()
    assert "p90 ms" in lines[0]
    assert "a [openvino]" in lines[1]  # no markup
    assert lines[3].rstrip().endswith("1.50x")
    assert sum("x" in line.rsplit(maxsplit=1)[-1] for line in lines[1:4]) == 1


def test_on_a_busy_machine_the_lower_end_stands_for_a_ratio():
    text = printed(row("a", 2, (100.0,) * 6, True), row("b", 4, (150.0,) * 6, True), load=90.0)
    assert ">1.50x" in text


def test_a_model_without_a_setting_within_the_limit_is_named():
    text = printed(row("a", 2, (100.0,) * 6, True), row("b", 1, (90.0,) * 6, False), limit=5.0)
    assert "no setting known to be within 5 ms: b [openvino]" in text
    assert "most images per second within 5 ms" in text
