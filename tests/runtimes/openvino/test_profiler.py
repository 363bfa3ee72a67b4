from edge_convnext.runtimes.openvino.profiler import known_nodes


def test_original_names_lose_what_passes_appended():
    names = {"stem.conv/Conv", "stem.norm/Mul_3"}
    listed = "Multiply_1,stem.conv/Conv/WithoutBiases,stem.conv/Conv,stem.norm/Mul_3"
    assert known_nodes(listed, names) == ("stem.conv/Conv", "stem.norm/Mul_3")
    assert known_nodes("", names) == ()
