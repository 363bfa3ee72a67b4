import pytest
from support.example_report import SHA, example_fields, example_report

from edge_convnext.core.errors import RecipeError
from edge_convnext.report.card.stated import (
    Stated,
    base_model_of,
    licence_fields,
    licence_sentence,
    public_name,
    split_words,
)


def report_of(name="convnextv2_atto", **weights):
    model = example_fields()["model"]
    return example_report(model={**model, "name": name, "weights": {**model["weights"], **weights}})


@pytest.mark.parametrize(
    ("licence", "stated", "fields"),
    [
        ("CC BY-NC 4.0", None, {"license": "cc-by-nc-4.0"}),
        ("CC BY-NC 4.0", "mit", {"license": "mit"}),
        ("Our own terms, 2026", None, {"license": "other", "license_name": "our-own-terms-2026"}),
        ("ünïcode", None, {"license": "other", "license_name": "n-code"}),
        (None, None, {}),
    ],
)
def test_a_licence_is_what_somebody_states(licence, stated, fields):
    report = report_of(licence=licence)
    assert licence_fields(report, Stated(stated)) == fields
    sentence = licence_sentence(report, Stated(stated))
    assert ("Not known" in sentence) is (licence is None)
    assert (stated or licence or "none is guessed") in sentence


@pytest.mark.parametrize(
    ("source", "stated", "base"),
    [
        ("timm/convnextv2_atto.fcmae@" + "a" * 40, None, "timm/convnextv2_atto.fcmae"),
        ("potato.pth", None, None),
        ("random", None, None),
        ("../x/y@" + "a" * 40, None, None),
        ("potato.pth", "me/base", "me/base"),
    ],
)
def test_a_base_model_is_on_the_hub(source, stated, base):
    assert base_model_of(report_of(source=source, sha256=SHA), Stated(None, (), stated)) == base


@pytest.mark.parametrize(
    "stated",
    [
        {"licence": " "}, {"licence": "a\nb"}, {"datasets": ("a b",)}, {"datasets": ("../x",)},
        {"base_model": "atto"}, {"base_model": "a/b/c"},
    ],
)  # fmt: skip
def test_names_that_the_hub_can_not_have_are_refused_by_their_flag(stated):
    with pytest.raises(RecipeError, match="--"):
        Stated(**stated)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("convnextv2_atto", "convnextv2_atto"),
        ("timm:resnet18", "timm:resnet18"),
        ("hf:google/vit", "hf:google/vit"),
        ("hf:/home/anna/secret/vit", "hf:vit"),
        ("hf:./models/vit/", "hf:vit"),
        ("module:nets.small:make", "module:nets.small:make"),
    ],
)
def test_a_name_has_no_folders_of_the_user(name, shown):
    assert public_name(report_of(name)) == shown


def test_images_are_counted_and_their_file_is_not_named():
    assert split_words(example_report()) == "476 held out of 2,152"
    data = {**example_fields()["data"], "n_train": None}
    assert split_words(example_report(data=data)) == "476 labelled images"
    assert split_words(example_report(data=None)) is None
