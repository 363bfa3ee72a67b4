import pytest
import yaml

from edge_convnext.errors import RecipeError
from edge_convnext.recipe import Recipe, load_recipe, make_recipe, recipe_names, resolve_recipe


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
        ({"targets": ["cpu", "dla"]}, "'targets' is 'dla': input should be 'cpu', 'rtx' or "),
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
    "field",
    [
        "load.num_classes", "load.in_channels", "preprocess.image_size", "train.image_size",
        "train.epochs", "train.batch", "train.warmup_epochs", "export.batch", "simplify.timeout_s",
        "quantize.subset_size", "recover.images", "recover.epochs", "recover.batch",
        "engine.max_batch", "engine.timeout_s", "evaluate.batch", "benchmark.threads",
        "benchmark.rounds", "benchmark.min_round_ms", "benchmark.warmup",
    ],
)  # fmt: skip
def test_what_takes_memory_or_time_has_an_end(field):
    with pytest.raises(RecipeError, match=rf"'{field}' is 1000000000.*: input should be less"):
        make_recipe({}, "a report", {field: 10**9})


@pytest.mark.parametrize("section", ["benchmark", "engine"])
def test_batch_sizes_have_an_end_each_and_together(section):
    with pytest.raises(RecipeError, match="less than or equal to 4096"):
        make_recipe({section: {"batches": [1, 10**6]}})
    with pytest.raises(RecipeError, match="at most 32 items"):
        make_recipe({section: {"batches": list(range(1, 40))}})
    fields = {section: {"batches": [65]}, "preprocess": {"image_size": 4096}}
    with pytest.raises(RecipeError, match="65 images of 4096 px are more than a batch can be"):
        make_recipe(fields)
    fields[section]["batches"] = [64]
    assert make_recipe(fields).preprocess.image_size == 4096
