import onnx

from edge_convnext.networks.operations import OPERATIONS


def test_each_is_one_of_onnxs_own():
    known = {schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain}
    assert OPERATIONS - known == set()


def test_what_may_run_code_loop_or_grow_without_bound_is_not_among_them():
    barred = {
        "If", "Loop", "Scan", "SequenceMap", "NonZero", "Unique", "Compress", "NonMaxSuppression",
        "RandomNormal", "RandomUniform", "Bernoulli", "Multinomial", "StringConcat", "LSTM", "GRU",
        "QuantizeLinear", "DequantizeLinear", "SequenceConstruct", "Optional", "ImageDecoder",
    }  # fmt: skip
    assert OPERATIONS & barred == set()
