import io
import re

from rich.console import Console
from support.example_report import example_report

from edge_convnext.cli.views.report import print_rows
from edge_convnext.measure.speed import Ratio


def test_timings_are_compared_with_the_first_model_at_the_same_batch():
    console = Console(file=io.StringIO(), width=80)
    print_rows(example_report().benchmark, console)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 9
    assert re.search(r"raw onnxruntime +1 +5\.71 +6\.17 +- +175 +1\.00x +13\.9 +153", lines[1])
    assert re.search(r"int8 conv openvino f32 +8 +16\.63 .* 2\.23x", lines[8])


def test_timings_have_the_interval_of_their_ratio_and_of_a_busy_machine_it_alone():
    quiet = example_report().benchmark
    busy = quiet.model_copy(update={"other_load_pct": 60.0})
    name = quiet.rows[2].artifact
    ratios = {(name, 1): Ratio(2.5, 1.63, 3.2, 20)}
    for timed, shown in ((quiet, "2.50x"), (busy, ">1.63x")):
        console = Console(file=io.StringIO(), width=120)
        print_rows(timed, console, ratios)
        table, told = console.file.getvalue().split("vs first, 95 % ")
        assert shown in table
        assert told == f"interval over 20 rounds: 1.63 to 3.20 ({name} at batch 1)\n"
    console = Console(file=io.StringIO(), width=120)
    print_rows(busy, console, {(name, 1): Ratio(2.5, None, None, 3)})
    text = console.file.getvalue()
    assert "2.50x" not in text
    assert set(re.findall(r"[\d.]+x", text)) == {"1.00x"}  # the first over itself alone
