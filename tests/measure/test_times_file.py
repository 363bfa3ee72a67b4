import json
from types import SimpleNamespace

from edge_convnext.measure.times_file import times_document, write_times
from edge_convnext.measure.timings import Turns

ROWS = tuple(SimpleNamespace(artifact=name, batch=2, threads=4) for name in ("a", "b"))
RESULT = SimpleNamespace(
    rows=ROWS,
    turns={
        ("a", 2): Turns(((1.23456789, 2.0), (3.0,))),
        ("b", 2): Turns(((1.0,),), ((0.5,),)),
    },
)


def test_times_are_by_round_in_the_order_of_the_rows():
    assert times_document(RESULT)["rows"] == [
        {"artifact": "a", "batch": 2, "threads": 4, "rounds": [[1.234568, 2.0], [3.0]]},
        {"artifact": "b", "batch": 2, "threads": 4, "rounds": [[1.0]], "gpu_rounds": [[0.5]]},
    ]


def test_the_file_is_the_document(tmp_path):
    write_times(tmp_path / "times.json", RESULT)
    found = json.loads((tmp_path / "times.json").read_text())
    assert found == times_document(RESULT)
    assert (found["schema"], found["unit"]) == ("edge-convnext/times/1", "ms")
