import io

from rich.console import Console

from edge_convnext.cli.views.models import print_models

ROW = {"model": "convnextv2_atto", "params": 3_708_400, "macs": 552_000_000}


def test_what_nobody_published_is_a_dash():
    published = {"published_top1_pct": 76.641, "source": "timm"}
    unknown = {"published_top1_pct": None, "source": None}
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_models([{**ROW, **published}, {**ROW, **unknown}], 224, console)
    title, heading, *rows = [
        " ".join(line.split()) for line in console.file.getvalue().splitlines()
    ]
    assert (title, heading) == ("1000 classes, 224 px", "model params M MACs G top-1 % source")
    assert rows == [
        "convnextv2_atto 3.7 0.55 76.64 timm",
        "convnextv2_atto 3.7 0.55 - none recorded here",
    ]


def test_what_was_not_counted_is_a_dash_and_other_networks_are_told_of():
    console = Console(file=io.StringIO(), width=60, color_system=None)
    row = {"model": "conv2former_n", "params": None, "macs": None}
    row |= {"published_top1_pct": None, "source": None}
    how = "timm:NAME, any image classifier of timm [with its own preprocessing]"
    print_models([row], 224, console, {"timm": how})
    printed = console.file.getvalue()
    assert "conv2former_n - - - none recorded here" in " ".join(printed.split())
    assert f"Other networks, and how --model or --weights names them:\n  {how}\n" in printed
