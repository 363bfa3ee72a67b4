"""The search for plans of a GPU that is not here, with the real builder of TensorRT for RTX."""

import json
import re

import yaml
from support.builds import write_checkpoint, write_images
from support.rtx_builds import needs_rtx
from typer.testing import CliRunner

from edge_convnext.build.tuning import gpu_search
from edge_convnext.cli import app
from edge_convnext.networks.convnext.family import FAMILY

FORMS = ("linear", "mixed", "expand", "late", "late_mixed")


@needs_rtx
def test_the_command_ranks_real_plans_and_writes_both_files(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gpu_search, "list_gpu_forms", lambda *_: ("mixed",))
    monkeypatch.setattr(type(FAMILY), "gpu_placements", ("blocks", "last_blocks"))
    out = tmp_path / "out"
    counts = {f"{side}/{name}": 3 for side in ("train", "val") for name in "ab"}
    folder = write_images(tmp_path / "images", counts)
    small = {
        "model": "atto",
        "load": {"weights": str(write_checkpoint(tmp_path / "weights.pth", 2))},
        "data": {"source": str(folder)},
        "preprocess": {"image_size": 32},
        "simplify": {"enabled": False},
        "evaluate": {"max_drop_pp": 100.0},  # of a model that was not trained
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(small))
    command = ["tune", "--target", "rtx", "--device", "orin-nano-8gb", "--recipe", str(recipe)]
    command += ["--out", str(out)]
    shown = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "orin-nano-8gb, batch 1, int8: 2 modelled, not timed" in shown.output
    assert "undecided" in shown.output
    found = json.loads((out / "tune.json").read_text())
    rows = {(row["form"], row["placement"]): row for row in found["trials"]}
    assert set(rows) == {("mixed", None), ("mixed", "blocks"), ("mixed", "last_blocks")}
    assert rows["mixed", "blocks"]["cost"]["int8_kernels"] == 24
    assert rows["mixed", "last_blocks"]["cost"]["int8_kernels"] == 4
    assert all(row["parity"]["sqnr_db"] > 10 for row in rows.values() if row["placement"])
    assert all(row["top1_drop_pp"] is not None for row in rows.values() if row["placement"])
    assert sorted(row["rank"] for row in found["candidates"]) == [1, 1, 2]
    tuned = yaml.safe_load((out / "tuned.yaml").read_text())
    assert tuned["engine"]["plans"] == found["plans"]
    assert found["recipes"] == ["tuned.yaml", "tuned-2.yaml"]
    for name in found["recipes"]:
        assert f"edge-convnext build --recipe {out / name} --out build/out-" in shown.output
    assert tuned["engine"]["batches"] == [1]  # what was searched is what is built
    assert re.fullmatch("blocks|last_blocks", found["plans"]["int8"]["1"]["placement"])
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout)["plans"] == found["plans"]
