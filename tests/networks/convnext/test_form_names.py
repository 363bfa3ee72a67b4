from typing import get_args

from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS, CpuFormName, GpuFormName
from edge_convnext.networks.convnext.forms import FORMS
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS


def test_every_form_that_is_named_is_written_and_no_other():
    assert set(get_args(CpuFormName)) == set(FORMS)
    assert set(get_args(GpuFormName)) == set(GPU_FORMS)
    assert not set(FORMS) & set(GPU_FORMS)


def test_forms_of_weights_per_image_are_for_gpus():
    assert set(get_args(GpuFormName)) > ONE_IMAGE_FORMS
    assert {name for name in get_args(GpuFormName) if name.startswith("weights_")} < ONE_IMAGE_FORMS
