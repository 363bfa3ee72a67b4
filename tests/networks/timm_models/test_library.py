import builtins
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("timm", reason="timm is not installed")

from edge_convnext.core.errors import MissingDependencyError, RecipeError
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import follow
from edge_convnext.networks.timm_models import library
from edge_convnext.networks.timm_models.library import (
    TimmMaker,
    config_of,
    find_name,
    timm_version,
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("resnet18", "resnet18"),
        (" resnet18.a1_in1k ", "resnet18.a1_in1k"),
        ("timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
    ],
)
def test_a_name_is_one_of_timms_with_or_without_a_tag(name, found):
    assert find_name(name) == found


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"no model 'mobilenetv2_10'.*timm:mobilenetv2_100"):
        find_name("mobilenetv2_10")
    with pytest.raises(RecipeError, match=r"no weights 'a9' of resnet18; known are resnet18\.a1_"):
        find_name("resnet18.a9")


def test_without_timm_it_is_told_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def fails(name, *rest):
        if name == "timm":
            raise ModuleNotFoundError("No module named 'timm'", name="timm")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(
        MissingDependencyError, match=r"need timm .*: pip install 'edge-convnext\[timm\]'"
    ):
        library.import_timm()


def test_a_maker_takes_what_timm_takes():
    maker = TimmMaker("test_resnet")
    assert maker.image_size == 160
    assert not maker.positions
    assert follow(maker).heads == ("fc.weight",)
    assert follow(maker).channels[0].name == "conv1.0.weight"
    maker.resize(maker.make(5, 3), 64)  # nothing to do
    assert maker.fingerprint() == f"timm {timm_version()} test_resnet"


def test_positions_are_made_for_a_size_and_brought_to_another():
    maker = TimmMaker("test_vit")
    assert maker.positions
    network = maker.make(5, 3, 64)
    assert network.pos_embed.shape[1] == 17
    maker.resize(network, 96)
    assert network.pos_embed.shape[1] == 37
    fixed = TimmMaker("levit_128s")
    with pytest.raises(NotSoError, match="timm's levit_128s takes images of one size"):
        fixed.resize(fixed.make(5, 3), 96)


def test_stochastic_depth_goes_to_the_networks_that_have_it():
    network = TimmMaker("test_vit").make(5, 3, drop_path=0.5)
    assert network.blocks[-1].drop_path1.drop_prob == 0.5
    assert TimmMaker("mobilenetv2_035").make(5, 3, drop_path=0.5).num_classes == 5


def test_what_timm_refuses_is_told(monkeypatch):
    class Refuses:
        @staticmethod
        def create_model(*_args, **_options):
            raise AssertionError("no such window")

    maker = TimmMaker("test_vit")
    assert maker.positions
    monkeypatch.setattr(library, "import_timm", Refuses)
    with pytest.raises(NotSoError, match=r"in_chans 3, img_size 70 \(no such window"):
        maker.make(5, 3, 70)


def test_a_config_is_that_of_the_tag():
    assert config_of("resnet18.a1_in1k")["tag"] == "a1_in1k"
    assert config_of("resnet18")["num_classes"] == 1000


def test_importing_the_module_imports_neither_torch_nor_timm():
    text = (
        "import sys; from edge_convnext.networks.family import find_family; "
        "find_family('timm').full_name('timm:resnet18'); "
        "print({'torch', 'timm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
