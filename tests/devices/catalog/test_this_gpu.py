from edge_convnext.devices.catalog.this_gpu import match_gpu


def test_a_gpu_that_is_not_listed_is_told_by_its_compute_capability():
    target = match_gpu("NVIDIA GeForce RTX 4070 Laptop GPU", "8.9")
    assert (target.device, target.delivery.kind) == (None, "rtx_ahead")
    assert target.advice.try_first == "fp16"
    assert target.notes[0].endswith("not in the table, known by its compute capability 8.9")
    unknown = match_gpu("NVIDIA H100 PCIe", "9.0")
    assert (unknown.delivery.kind, unknown.advice) == ("on_board", None)
    assert match_gpu("Some GPU", None).delivery is None


def test_what_the_machine_says_of_its_gpu_goes_before_the_table():
    target = match_gpu("NVIDIA L4", "9.0")
    assert target.delivery.kind == "on_board"
    assert target.notes == ("the table has compute capability 8.9 for the L4",)
    assert match_gpu("NVIDIA L4", None).delivery.kind == "rtx_ahead"
