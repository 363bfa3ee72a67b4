import json

import pytest
from support.trt_builds import layer

from edge_convnext.runtimes.tensorrt.inspector import count_int8, parse_layers


def test_layers_of_8_6_and_of_10_are_read_alike():
    eight = layer(
        "CaskConvolution",
        {"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"},
        {"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"},
        Weights={"Type": "Int8", "Count": 64},
    )
    ten = layer("gemm", {"Format": "Row major", "Datatype": "Int8"}, {"Datatype": "Half"})
    reformat = layer("Reformat", {"Datatype": "Int8"}, {"Datatype": "Half"})
    kernels = parse_layers(json.dumps({"Layers": [eight, ten, reformat], "Bindings": []}))
    assert [[t.dtype for t in (*k.inputs, *k.outputs)] for k in kernels] == [["Int8", "Half"]] * 3
    assert kernels[0].weight_bytes == 64
    assert kernels[0].nodes == ("b.pwconv1/Conv",)
    assert count_int8(kernels) == 2


@pytest.mark.parametrize("text", ["", "{", '{"Layers": ["name alone"]}', '{"Layers": null}'])
def test_an_inspector_that_says_less_gives_no_layers(text):
    assert parse_layers(text) == ()
