"""What a file of a processor leaves out is what its class has in transformers."""

import pytest
from support.processors import FOLDERS, real

from edge_convnext.networks.facts.processor_classes import OWN_VALUES


@pytest.mark.parametrize("name", FOLDERS)
def test_what_a_file_leaves_out_is_what_the_class_has(name):
    kind = real(name)
    for field, own in OWN_VALUES[name].items():
        found = getattr(kind, field, None)
        if isinstance(own, tuple):
            assert tuple(found) == pytest.approx(own), field
        elif field == "do_center_crop":
            assert bool(found) == bool(own)
        else:
            assert found == own, field


def test_every_class_is_compared_but_the_one_that_needs_torchvision():
    assert {*OWN_VALUES} - {*FOLDERS} == {"PPLCNetImageProcessor"}
