"""Whatever stands under the keys that are looked at, reading ends, and says what it can't use."""

import contextlib

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checkpoints import REFERENCE

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import LoadError
from edge_convnext.core.origins import Fact
from edge_convnext.networks.convnext.dialects import translate
from edge_convnext.networks.facts.inside import read_content, read_metadata_of
from edge_convnext.networks.facts.sayings import Said
from edge_convnext.networks.facts.settle import Source, settle
from edge_convnext.networks.facts.table import KEYS, RESIZED_KEYS, STATS_KEYS
from edge_convnext.networks.facts.texts import parse_json, parse_python, parse_yaml

OTHERS = (
    "args", "type", "cfg", "meta", "image_processor_type", "do_normalize", "do_rescale",
    "rescale_factor", "rescale_offset", "do_center_crop", "do_resize", "model", "tag",
    "imagenet_default_mean_and_std", "val_crop_size", "val_resize_size", "height", "width",
    "shortest_edge", "to_rgb", "data_preprocessor", "scale", "num_classes", "model_type",
)  # fmt: skip
WORDS = (*(key for place in KEYS for key in place.keys), *RESIZED_KEYS, *STATS_KEYS, *OTHERS)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5000), st.floats(), st.text(max_size=8),
    st.sampled_from(["Resize", "CenterCrop", "ResizeEdge", "bicubic", "squash", "224x224", "[]",
                     "shortest", "convnext_base.clip", "ConvNextImageProcessor", 10**400]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.integers(0, 3)), inner, max_size=6),
    ),
    max_leaves=20,
)
MAPPINGS = st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=10)


@settings(max_examples=100, deadline=None)
@given(content=MAPPINGS)
def test_settings_of_any_content_are_read_or_told(content):
    said = read_content(content, "x", 3, 3)
    settled = settle([Source("checkpoint", said), Source("default", Said())])
    Preprocess.from_json(vars(settled.preprocess))  # whatever was taken can be used
    assert len(settled.classes) in (0, 3)
    for fact in settled.facts:
        assert Fact.from_json(fact.to_json()) == fact
    assert all("\n" not in note and note.isprintable() for note in settled.notes)


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=200), key=st.sampled_from(WORDS))
def test_texts_of_any_content_are_read_or_no_text_of_their_kind(text, key):
    read_metadata_of({key: text}, 3, 3)
    parse_python(f"{key} = {text}")
    for parse in (parse_json, parse_yaml):
        with contextlib.suppress(ValueError):
            parse(text)


NAMES = st.sampled_from(
    ["head.weight", "head.weight_orig", "head.weight_mask", "head.weight_g", "head.weight_v",
     "head.parametrizations.weight.original0", "head.parametrizations.weight.original", "0.mean",
     "0.std", "stages.0.0.dwconv.kernel", "teacher.stages.0.0.dwconv.weight", "mask_token", "fc",
     "module.head.weight", "n_averaged", "stages.0.0.grn.gamma", "neck.bias", "proj.weight"]
)  # fmt: skip
SHAPES = st.sampled_from([(), (0,), (1,), (3,), (3, 10), (10, 3), (3, 10, 1, 1), (49, 4), (7, 7)])


@settings(max_examples=60, deadline=None)
@given(
    added=st.dictionaries(NAMES, SHAPES, max_size=6),
    dropped=st.lists(st.sampled_from(sorted(REFERENCE)), max_size=3),
    headless=st.booleans(),
    stranger=st.sampled_from([None, 3, "x", [1], torch.ones(1, dtype=torch.int8)]),
)
def test_state_dicts_of_any_shapes_are_read_or_refused(added, dropped, headless, stranger):
    state = {name: value for name, value in REFERENCE.items() if name not in dropped}
    state |= {name: torch.ones(shape) for name, shape in added.items()}
    content = {"model": state, "ema": {"model": {**state, "head.weight": stranger}}}
    with contextlib.suppress(LoadError):
        translate(content, "w.pth", headless)
