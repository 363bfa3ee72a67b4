import json
from typing import get_args

import pytest

from edge_convnext.core.origins import FACT_NAMES, Fact, Origin, OriginKind


def test_an_origin_names_the_place_where_it_has_one():
    assert str(Origin("flag")) == "flag"
    assert str(Origin("checkpoint", "args: mean")) == "checkpoint (args: mean)"


def test_the_user_comes_before_files_and_these_before_defaults():
    kinds = get_args(OriginKind)
    assert kinds.index("flag") < kinds.index("recipe") < kinds.index("checkpoint")
    assert kinds.index("checkpoint") < kinds.index("beside the weights") < kinds.index("published")
    assert kinds[-1] == "default"


@pytest.mark.parametrize("value", [("ant", "bee"), 224, "bicubic", None, 0.875])
def test_a_fact_survives_json(value):
    fact = Fact(FACT_NAMES[0], value, Origin("csv", "leaves.csv"))
    assert Fact.from_json(json.loads(json.dumps(fact.to_json()))) == fact
