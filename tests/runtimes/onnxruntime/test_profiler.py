from onnx import helper

from edge_convnext.runtimes.onnxruntime.profiler import map_nodes, read_trace


def event(name, us, kind="Node", **arguments):
    fields = {"op_name": "MatMul", "activation_size": "8", "output_size": "16",
              "input_type_shape": [{"float": [1, 2]}], **arguments}  # fmt: skip
    return {"cat": kind, "name": name, "dur": us, "args": fields}


def test_the_times_of_a_layer_are_those_of_its_kernel_alone():
    events = [
        event("fc_kernel_time", 500),
        event("fc_fence_before", 9),
        event("session_kernel_time", 9, kind="Session"),
        event("relu_kernel_time", 250, op_name="Relu"),
        event("fc_kernel_time", 1500),
    ]
    fc, relu = read_trace(events, {"fc": ("fc/MatMul",)}, {"fc": 100})
    assert (fc.name, fc.nodes, fc.operation, fc.dtype) == ("fc", ("fc/MatMul",), "MatMul", "f32")
    assert fc.times_ms == (0.5, 1.5)
    assert fc.moved_bytes == 100 + 8 + 16
    assert (relu.nodes, relu.moved_bytes, relu.times_ms) == ((), 24, (0.25,))


def graph(*nodes):
    made = [
        helper.make_node(kind, inputs, outputs, name=name) for kind, inputs, outputs, name in nodes
    ]
    value = helper.make_tensor_value_info("x", 1, [1])
    return helper.make_model(helper.make_graph(made, "g", [value], [value]))


def test_a_fused_node_computes_all_that_leads_to_its_output():
    whole = graph(("MatMul", ["x", "w"], ["p"], "fc"), ("Add", ["p", "b"], ["s"], "add"),
                  ("Relu", ["s"], ["y"], "relu"))  # fmt: skip
    fused = graph(("FusedGemm", ["x", "w", "b"], ["s"], "fused"), ("Relu", ["s"], ["y"], "relu"))
    found = map_nodes(whole, fused)
    assert set(found["fused"]) == {"fc", "add"}
    assert found["relu"] == ("relu",)
