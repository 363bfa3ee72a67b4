import json
from pathlib import Path

from support.example_report import example_report

from edge_convnext.devices.bench import merge


def test_merge_prints_the_report_that_boards_were_folded_into(call, monkeypatch):
    seen = []

    def merge_boards(folder, reports, say):
        say("a note")
        seen.append((folder, reports))
        return example_report()

    monkeypatch.setattr(merge, "merge_boards", merge_boards)
    code, out, err = call("merge", "build", "board/a", "board/b/report.json", "--json")
    assert (code, err) == (0, "a note\n")
    assert json.loads(out) == example_report().model_dump(mode="json", by_alias=True)
    assert seen == [(Path("build"), [Path("board/a"), Path("board/b/report.json")])]
    code, out, _ = call("merge", "build", "board/a")
    assert code == 0
    assert "{" not in out
