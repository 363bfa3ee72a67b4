import pytest
import yaml

from edge_convnext.core.artifacts import MAX_IMAGE_SIZE
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import Recipe, recipe_names
from edge_convnext.networks.recipe_file import load_recipe, make_recipe, resolve_recipe


def test_shipped_recipes_are_valid_and_say_what_they_are_for():
    assert {"demo", "imagenet", "potato"} <= set(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.about


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"quantise": {}}, "quantize"),
        ({"quantize": {"subsetsize": 3}}, "quantize.subset_size"),
        ({"preprocess": {"imagesize": 3}}, "preprocess.image_size"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(fields, nearest):
    with pytest.raises(RecipeError, match=f"did you mean '{nearest}'"):
        make_recipe(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"export": {"opset": 17}},
        {"quantize": {"subset_size": 0}},
        {"evaluate": {"max_drop_pp": float("nan")}},
        {"precision": "int4"},
        {"targets": ["cpu", "dla"]},
        {"quantize": 3},
    ],
)
def test_a_bad_value_is_one_line_that_names_the_field(fields):
    with pytest.raises(RecipeError) as caught:
        make_recipe(fields)
    assert "\n" not in str(caught.value)
    assert next(iter(fields)) in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"export": {"batch": "x"}}, "'export.batch' is 'x': "),
        (
            {"targets": ["cpu", "dla"]},
            "'targets' is 'dla': input should be 'cpu', 'arm-cpu', 'rtx' or ",
        ),
        ({"benchmark": {"batches": [1, 0]}}, "'benchmark.batches.1' is 0: "),
        ({"benchmark": {"batches": []}}, "'benchmark.batches' is []: "),
        ({"targets": []}, "'targets' is []: "),
        ({"preprocess": {"std": [0.2, 0, 0.2]}}, "'preprocess.std.1' is 0: "),
    ],
)
def test_the_branches_of_a_union_are_not_named(fields, message):
    with pytest.raises(RecipeError) as caught:
        make_recipe(fields)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        load_recipe(str(path))


def test_a_batch_size_is_timed_once():
    assert make_recipe({"benchmark": {"batches": [8, 1, 8]}}).benchmark.batches == (8, 1)


def test_a_missing_recipe_suggests_a_shipped_one():
    with pytest.raises(RecipeError, match="did you mean 'potato'"):
        load_recipe("potatoe")


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("preprocess: {image_size: 64}\nfold:\n")
    recipe = load_recipe(str(path), {"preprocess.image_size": 96, "seed": 7, "fold.enabled": False})
    assert recipe.preprocess.image_size == 96
    assert recipe.seed == 7
    assert not recipe.fold.enabled


def test_the_demo_serves_only_when_neither_weights_nor_data_are_given():
    assert resolve_recipe(None, {"model": "femto"}).data.source == "digits"
    assert resolve_recipe(None, {"data.source": "digits"}).preprocess.image_size == 48
    assert resolve_recipe(None, {"load.weights": "x.pth"}).data.source is None
    assert resolve_recipe(None, {"data.source": "d"}).load.weights is None


def test_a_recipe_survives_a_round_trip_through_yaml():
    recipe = load_recipe("demo")
    text = yaml.safe_dump(recipe.model_dump(mode="json"))
    assert Recipe.model_validate(yaml.safe_load(text)) == recipe


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("benchmark.batches", [1_000_000], "4096"),
        ("benchmark.batches", list(range(1, 100)), "16"),
        ("benchmark.rounds", 10**9, "10000"),
        ("benchmark.min_round_ms", 10**9, "60000"),
        ("benchmark.warmup", 10**9, "1000"),
        ("benchmark.threads", 10**6, "1024"),
        ("evaluate.batch", 10**9, "4096"),
        ("export.batch", 10**9, "4096"),
        ("engine.batches", [10**9], "4096"),
        ("engine.max_batch", 10**9, "4096"),
        ("engine.timeout_s", 10**9, "86400"),
        ("simplify.timeout_s", 10**9, "86400"),
        ("quantize.subset_size", 10**9, "1000000"),
        ("recover.images", 10**9, "1000000"),
        ("recover.epochs", 10**9, "10000"),
        ("recover.batch", 10**9, "4096"),
        ("train.epochs", 10**9, "10000"),
        ("train.batch", 10**9, "4096"),
        ("train.image_size", 10**9, str(MAX_IMAGE_SIZE)),
        ("preprocess.image_size", 10**9, str(MAX_IMAGE_SIZE)),
        ("load.num_classes", 10**12, "1000000"),
        ("load.in_channels", 10**9, "64"),
    ],
)
def test_what_takes_memory_and_time_has_an_upper_limit(field, value, most):
    with pytest.raises(RecipeError, match=rf"{field}.*{most}") as told:
        make_recipe({}, "r.yaml", {field: value})
    assert "\n" not in str(told.value)


def test_limits_hold_together():
    with pytest.raises(RecipeError, match=r"'evaluate'.*4096 images of 1024 px takes 51\.5 giga"):
        make_recipe({"preprocess": {"image_size": 1024}, "evaluate": {"batch": 4096}})
    with pytest.raises(RecipeError, match=r"10000 rounds of 60000 ms are 166\.7 hours for each"):
        make_recipe({"benchmark": {"rounds": 10_000, "min_round_ms": 60_000}})
    large = make_recipe({"preprocess": {"image_size": 224}, "benchmark": {"batches": [4096]}})
    assert large.benchmark.batches == (4096,)


def test_a_recipe_states_a_side_or_height_and_width(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preprocess: {image_size: [64, 96]}\ntrain: {image_size: 96x64}\n")
    recipe = load_recipe(path)
    assert (recipe.preprocess.image_size, recipe.train.image_size) == ((64, 96), (96, 64))
    again = make_recipe(recipe.model_dump(mode="json", exclude_unset=True))
    assert again == recipe
    square = make_recipe({"preprocess": {"image_size": [96, 96]}})
    assert (
        square.model_dump_json()
        == make_recipe({"preprocess": {"image_size": 96}}).model_dump_json()
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ([64, 96, 3], "height and width, not 3 numbers"),
        ([0, 96], "greater than or equal to 1"),
        ([64, MAX_IMAGE_SIZE + 1], "less than or equal to 4096"),
        ([64, -1], "greater than or equal to 1"),
        ([64, 31], "is 31: input should be greater than or equal to 32, as convnextv2_atto halves"),
        ("wide", "one number for a square, or height,width"),
        ([64, "q"], "valid integer"),
        ({"height": 64}, "valid integer"),
        ([], "not 0 numbers"),
    ],
)
def test_a_size_that_no_image_has_is_refused_in_one_line(size, words):
    with pytest.raises(RecipeError, match=words) as told:
        make_recipe({"preprocess": {"image_size": size}}, "mine.yaml")
    assert str(told.value).startswith("mine.yaml: 'preprocess.image_size' ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("section", ["preprocess", "train"])
@pytest.mark.parametrize("model", ["atto", "conv2former_n"])
def test_this_projects_networks_need_32_pixels_and_those_from_elsewhere_say_it_themselves(
    section, model
):
    def of(name):
        return {"model": name, section: {"image_size": [28, 64]}}

    for name in ("timm:resnet18", "module:a.b:c", "onnx:mnist", "hf:owner/name"):
        assert getattr(make_recipe(of(name)), section).image_size == (28, 64)
    with pytest.raises(RecipeError, match=rf"^mine.yaml: '{section}\.image_size' is 28: input "):
        make_recipe(of(model), "mine.yaml")
    flags = {"preprocess.image_size": "--image-size", "train.image_size": "--image-size"}
    with pytest.raises(RecipeError, match=r"^--image-size 28: input should be greater than or"):
        make_recipe({}, "x", {"model": model, f"{section}.image_size": (28, 64)}, flags)
    with pytest.raises(RecipeError, match=r"^mine.yaml: "):  # the file states it, and no flag
        make_recipe(of(model), "mine.yaml", {"seed": 1}, flags)


def test_groups_of_products_are_for_networks_that_are_placed_by_role():
    def plans(form, placement, **groups):
        return {"openvino": {"form": form, "placement": placement, **groups}}

    with pytest.raises(RecipeError, match=r"'plans.openvino' names groups.*ConvNeXt is not placed"):
        make_recipe({"plans": plans("conv", "inner", int8_groups=["gate"])})
    fields = {"model": "conv2former_n", "plans": plans("raw", "closed", float_groups=["gate"])}
    assert make_recipe(fields).plans["openvino"].float_groups == ("gate",)
    fields["plans"] = plans("raw", "closed", float_groups=["stages.0/Conv"])
    with pytest.raises(RecipeError, match=r"a group \(float_groups, int8_groups\) is conv"):
        make_recipe(fields)
