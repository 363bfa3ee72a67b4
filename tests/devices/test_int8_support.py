"""What a CPU's features mean for INT8."""

import pytest

from edge_convnext.devices.int8_support import explain_int8, saturates, warn_of_saturation
from edge_convnext.devices.probes import CPU_FLAGS


@pytest.mark.parametrize(
    ("flags", "lossy"),
    [
        (("avx2", "fma"), True),
        (("avx2", "fma", "avx512f"), True),
        (("avx2", "avx512f", "avx512_vnni"), False),
        (("avx2", "avx_vnni"), False),
        (("avx2", "amx_int8"), False),
        ((), False),  # SSE: exact, as measured
        (("asimd",), False),
    ],
)
def test_sums_in_16_bits_lose_bits(flags, lossy):
    assert saturates(flags) is lossy
    assert (warn_of_saturation(flags) is not None) is lossy


def test_the_warning_names_what_helps():
    assert "session.x64quantprecision=1" in warn_of_saturation(("avx2",))


def test_a_core_without_dot_products_says_so_first():
    (only,) = explain_int8(("asimd",))
    assert only[0] == "asimd"
    assert "no dot product" in only[1]
    assert [name for name, _ in explain_int8(("asimd", "asimddp", "i8mm"))] == ["asimddp", "i8mm"]


def test_every_feature_that_is_read_has_a_meaning_or_none_for_int8():
    told = {name for name, _ in explain_int8(CPU_FLAGS)}
    assert set(CPU_FLAGS) - told == {"fma", "asimd"}
