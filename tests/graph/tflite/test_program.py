"""A TFLite graph, operator by operator, as the interpreter reads it."""

from __future__ import annotations

import numpy as np
from support.litert_graphs import open_tflite

from edge_convnext.graph.tflite.program import Program


def test_a_program_of_one_operator_runs():
    program = Program()
    images = program.input("images", (1, 2, 3, 4))
    offset = program.constant("offset", np.arange(4, dtype=np.float32))
    result = program.tensor("result", (1, 2, 3, 4))
    program.add("ADD", (images, offset), result)
    interpreter = open_tflite(program.to_bytes(result, "of one"))
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (entry["name"], end["name"]) == ("images", "result")
    shown = np.ones((1, 2, 3, 4), np.float32)
    interpreter.set_tensor(entry["index"], shown)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(end["index"]), shown + np.arange(4))


def test_equal_constants_are_stored_once_and_names_are_told_apart():
    program = Program()
    first = program.constant("one", np.ones(3, np.float32))
    assert program.constant("two", np.ones(3, np.float32)) == first
    assert program.constant("two", np.ones((3, 1), np.float32)) != first
    assert program.constant("two", np.ones(3, np.int32)) != first
    again = program.tensor("one", (1,))
    assert [str(one.name) for one in program._tensors].count("one") == 1
    assert program._tensors[again].name != "one"


def test_integers_carry_a_scale_for_each_row():
    program = Program()
    scales = np.array([0.5, 0.25], np.float32)
    index = program.constant("w", np.ones((2, 3), np.int8), scales)
    grid = program._tensors[index].quantization
    assert (grid.scale.tolist(), grid.zeroPoint.tolist()) == ([0.5, 0.25], [0, 0])
    assert grid.quantizedDimension == 0
    # Of equal integers another scale is another constant.
    assert program.constant("v", np.ones((2, 3), np.int8), 2 * scales) != index


def test_an_operator_has_the_highest_version_that_is_used():
    program = Program()
    images = program.input("images", (1, 4))
    matrix = program.constant("w", np.ones((2, 4), np.float32))
    for version in (1, 5):
        made = program.tensor("y", (1, 2))
        program.add("FULLY_CONNECTED", (images, matrix, -1), made, version=version)
    assert program._versions == {"FULLY_CONNECTED": 5}
