from dataclasses import FrozenInstanceError

import pytest
from support.checkpoints import SMALL, STATE

from edge_convnext.networks.translation import Normalisation, Translation


def test_a_translation_says_where_the_network_lay():
    found = Translation(STATE, SMALL, "timm", ("model",))
    assert (found.averaged, found.where, found.head, found.normalisation) == (False, "", None, None)
    assert found.notes == ()
    with pytest.raises(FrozenInstanceError):
        found.dialect = "ours"


def test_a_normalisation_is_a_value():
    one = Normalisation(("a", "b"), (0.5,), (1.0,))
    assert one == Normalisation(("a", "b"), (0.5,), (1.0,))
    assert one != Normalisation(("a", "b"), (0.5,), (2.0,))
