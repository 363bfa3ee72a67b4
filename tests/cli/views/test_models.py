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
