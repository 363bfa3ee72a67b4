import json
from pathlib import Path

from edge_convnext.build import amend
from edge_convnext.stages.sensitivity import Sensitivity

RANKING = {"conv.inner": (Sensitivity("head.fc/Gemm", 31.5, 99.0, None, 98.0, 12.5),)}


def test_a_ranking_goes_into_the_build_and_is_printed(call, monkeypatch):
    added = []
    monkeypatch.setattr(amend, "rank_build", lambda folder, track, overrides: RANKING)
    monkeypatch.setattr(amend, "add_sensitivity", lambda *arguments: added.append(arguments))
    code, out, err = call("sensitivity", "build", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)["conv.inner"]
    assert (row["name"], row["noise_share_pct"], row["spared_sqnr_db"]) == (
        "head.fc/Gemm", 12.5, None,
    )  # fmt: skip
    _, text, _ = call("sensitivity", "build")
    assert "conv.inner" in text
    assert "head.fc/Gemm" in text
    assert added == [(Path("build"), RANKING)] * 2
