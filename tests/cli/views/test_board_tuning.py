from io import StringIO

from rich.console import Console
from support.search_results import TRIAL, search_fields

from edge_convnext.cli.views.board_tuning import print_board_search
from edge_convnext.devices.tuning.result import BoardSearch

ENERGY = {
    "artifact": TRIAL["name"], "batch": 1, "mean_w": 5.0, "idle_w": 2.0,
    "energy_mj_per_image": 12.345, "images": 10, "samples": 10, "power_scope": "VDD_IN",
    "power_source": "a test",
}  # fmt: skip
ROW = {
    "name": TRIAL["name"], "precision": "int8", "batch": 1, "latency_ms_p50": 2.0,
    "gpu_ms_p50": 1.234, "throughput_img_s": 456.7, "vs_best_float": 1.5,
    "vs_best_float_ci95": [1.4, 1.6], "energy": ENERGY,
}  # fmt: skip


def shown(**changes):
    console = Console(file=StringIO(), width=160)
    print_board_search(BoardSearch.model_validate(search_fields(**changes)), console)
    return console.file.getvalue()


def test_each_power_mode_has_its_own_table_with_latency_throughput_and_energy():
    races = [
        {"power_mode": "MAXN (0)", "rows": [ROW], "notes": ["clocks were not locked"]},
        {"power_mode": "7W (2)", "reason": "it needs a restart"},
    ]
    text = shown(races=races, builder="TensorRT 10.3.0")
    assert "Orin, TensorRT 10.3.0: 0 raced, 1 left out; over" in text
    assert "power mode MAXN (0), loaded afresh:" in text
    for figure in (
        "1.234",
        "456.7",
        "1.50x [1.40, 1.60]",
        "12.35",
        "5.0",
        "clocks were not locked",
    ):
        assert figure in text
    assert "power mode 7W (2): not raced: it needs a restart" in text


def test_what_was_not_measured_is_no_figure():
    bare = {name: ROW[name] for name in ("name", "precision", "batch", "latency_ms_p50")}
    text = shown(races=[{"power_mode": None, "rows": [{**bare, "throughput_img_s": 500.0}]}])
    assert "the last race, loaded afresh:" in text
    assert "2.000" in text
    assert "x [" not in text


def test_a_busy_board_and_notes_are_told():
    text = shown(other_load_pct=55.0, notes=["Mode was not read."])
    assert "Other programs took up to 55 % of the CPU" in text
    assert "Mode was not read." in text
    assert "Other programs" not in shown(other_load_pct=1.0)
