import sys

import pytest

from edge_convnext.devices.jetson.rail_names import load_rails

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sysfs is Linux's")


def test_every_row_of_rails_has_a_source_and_is_reached():
    rows = load_rails()
    assert all(row.source and row.scope for row in rows)
    assert all("POM_5V_IN" not in row.rails or row.unverified for row in rows)
    assert {family for row in rows for family in row.families} == {
        "orin-nano", "orin-nx", "agx-orin", "xavier-nx", "agx-xavier", "thor"
    }  # fmt: skip
