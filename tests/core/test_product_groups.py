"""How a plan names groups of products."""

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from edge_convnext.core.product_groups import ENDS, KINDS, GroupName, Regrouping
from edge_convnext.graph.roles import ProductKind

READ = TypeAdapter(GroupName).validate_python


def test_every_kind_of_product_has_a_name():
    assert set(KINDS) == set(get_args(ProductKind))
    for name in (*KINDS, *ENDS):
        assert [READ(name), READ(f"{name}@0"), READ(f"{name}@12")] == [
            name, f"{name}@0", f"{name}@12",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["", "norm", "conv@", "conv@x", "conv@123", "conv@-1", "conv0", "stages.0/Conv", "conv "],
)
def test_other_names_are_refused_with_those_that_there_are(name):
    with pytest.raises(
        ValidationError, match=r"is conv, pointwise.* first, last or gate, and may end"
    ):
        READ(name)


def test_no_change_counts_as_none():
    assert not Regrouping()
    assert Regrouping(("gate",))
    assert Regrouping((), ("gate",))
