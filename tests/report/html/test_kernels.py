import json

import pytest
from support.example_report import SHA, example_report

from edge_convnext.report.html.kernels import PartKernels, kernel_blocks, read_engines
from edge_convnext.report.html.parts import Limits

NAME = "model.int8.rtx.sm86.b1.engine"


def kernel(part, moved=10_000_000, int8=False):
    return {"part": part, "multiplies_int8": int8, "activation_bytes": moved, "weight_bytes": 1}


def report_of(*names):
    files = [{"path": name, "sha256": SHA, "bytes": 1} for name in names]
    return example_report(outputs=files)


def write(folder, rows, name=NAME):
    (folder / f"{name}.json").write_text(json.dumps({"kernel_table": rows}))
    return report_of(f"{name}.json")


def test_kernels_are_summed_by_part_in_the_order_of_their_launch(tmp_path):
    rows = [kernel("stem"), kernel("depthwise", 20_000_000, True), kernel("stem", 5_000_000)]
    (engine,) = read_engines(write(tmp_path, rows), tmp_path)
    assert engine.name == NAME
    assert engine.parts == (
        PartKernels("stem", 2, 0, 15_000_000, 2), PartKernels("depthwise", 1, 1, 20_000_000, 1),
    )  # fmt: skip
    (figure,) = kernel_blocks([engine], Limits())
    assert [cells[0] for cells in figure.table.rows] == ["depthwise", "stem"]
    assert "depthwise, 1 kernel: 20.00 MB" in figure.picture.description


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"kernel_table": 3}', '{"kernel_table": []}', '{"kernel_table": [{}]}',
     '{"kernel_table": [{"part": "x", "multiplies_int8": 1, "activation_bytes": -1,'
     ' "weight_bytes": 0}]}', "[" * 100_000, '{"kernel_table": [{"part": "x",'
     ' "multiplies_int8": 1, "activation_bytes": 1e999, "weight_bytes": 0}]}'],
)  # fmt: skip
def test_a_table_that_can_not_be_read_is_left_out(tmp_path, text):
    (tmp_path / f"{NAME}.json").write_text(text)
    assert read_engines(report_of(f"{NAME}.json"), tmp_path) == ()


def test_only_engines_that_the_report_names_in_its_folder_are_read(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", [kernel("stem")])
    assert read_engines(report_of(f"sub/{NAME}.json", f"../{NAME}.json"), tmp_path) == ()
    assert read_engines(report_of("gone.engine.json"), tmp_path) == ()


def test_without_engines_it_says_so_and_of_many_a_few_are_drawn(tmp_path):
    assert "not recorded" in kernel_blocks([], Limits())[0].text
    (engine,) = read_engines(write(tmp_path, [kernel("stem")]), tmp_path)
    blocks = kernel_blocks([engine] * 6, Limits())
    assert [one.kind for one in blocks] == ["figure"] * 4 + ["words"]
    assert blocks[-1].text == "2 more engines have their JSON beside them."
