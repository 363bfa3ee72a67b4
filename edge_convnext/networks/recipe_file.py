"""Read recipes: files, shipped names, overrides. A mistake gives an error of one line."""

from __future__ import annotations

import difflib
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from edge_convnext.core.bounds import MIN_IMAGE_SIZE
from edge_convnext.core.errors import RecipeError, shorten
from edge_convnext.core.files import AnyPath
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.plain_yaml import NoAliases
from edge_convnext.core.recipe import DIGITS, Recipe, Stated, recipe_folder, recipe_names
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.onnx_file.find import is_own_graph, model_of_weights
from edge_convnext.networks.spelled import find_stated_model, settle_model

__all__ = ["load_recipe", "make_recipe", "resolve_recipe"]

_MAX_BYTES = 1 << 20  # the largest file that is read as a recipe
_UNNAMED = "recipe"  # a recipe that was not read from a file


def load_recipe(
    name_or_path: AnyPath,
    overrides: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Recipe:
    """Read a shipped recipe by name, or a YAML file, and apply overrides.

    Args:
        name_or_path: A shipped name (`demo`, `potato`, …) or a path to a YAML file.
        overrides: Values by dotted field, such as {"preprocess.image_size": 224}.
        flags: Command-line flags by dotted field, such as {"engine.batches": "--engine-batch"}.
            If an override's value is bad, the error names the flag instead of file and key.

    Raises:
        RecipeError: There is no such recipe, it is not YAML, or it has an unknown key or a bad
            value; the message names the file and the key.
    """
    path = _find_recipe(os.fspath(name_or_path))
    fields = _read_yaml(path)
    if fields is None:
        fields = {}
    if not isinstance(fields, dict):
        raise RecipeError(
            f"{path}: a recipe is a mapping of sections, not a {type(fields).__name__}"
        )
    stated = {key: value for key, value in fields.items() if value is not None}
    return make_recipe(stated, str(path), overrides, flags)


def make_recipe(
    fields: Mapping[str, Any],
    source: str = _UNNAMED,
    overrides: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Recipe:
    """Validate a mapping into a `Recipe`.

    Args:
        fields: The recipe's sections, as YAML or a report has them.
        source: The origin of `fields`, for messages.
        overrides: Values by dotted field, as for `load_recipe`.
        flags: Command-line flags by dotted field, as for `load_recipe`.

    Raises:
        RecipeError: The recipe has an unknown key or a bad value; the message is one line.
    """
    try:
        recipe = Recipe.model_validate(_apply(dict(fields), overrides or {}, source))
    except ValidationError as error:
        where = _find_field(error.errors()[0]["loc"])
        field = next((one for one in overrides or {} if f"{where}.".startswith(f"{one}.")), None)
        if field is not None and flags:
            raise RecipeError(f"{flags.get(field, field)} {_explain_value(error)}") from error
        raise RecipeError(f"{source}: {_explain(error)}") from error
    by_caller = "model" in (overrides or {})
    told = (flags or {}).get("model", "model") if by_caller else "model"
    recipe, note = _settle(recipe, by_caller, told)
    by_flag = {one: flags[one] for one in overrides or {} if one in flags} if flags else {}
    _check_names(recipe, source, by_flag)
    _check_size(recipe, source, by_flag)
    named = {one: (flags or {}).get(one, one) for one in overrides or {}}
    recipe._stated = Stated(source if source != _UNNAMED else "", named, note)
    return recipe


def _settle(recipe: Recipe, by_caller: bool, told: str) -> tuple[Recipe, str]:
    """The model's full name and the weights that it brings, and what is told of it.

    Args:
        recipe: Recipe, with the name as it was stated.
        by_caller: True where the command line or the caller states the model, and no file: code of
            the user's own runs for no other.
        told: Flag or field that states the model, for messages.
    """
    stated = recipe.model if "model" in recipe.model_fields_set else None
    if own := model_of_weights(recipe.load.weights, stated, told, by_caller):
        return recipe.model_copy(update={"model": own}), ""
    if stated is None:
        found = find_stated_model(recipe.load.weights)
        if found is None or found.model == recipe.model:
            return recipe, ""
        return recipe.model_copy(update={"model": found.model}), found.note
    spelled = settle_model(recipe.model, recipe.load.weights)
    outside = family_of_model(spelled.model).outside
    if by_caller and outside is not None:
        outside.consent(spelled.model)
    load = recipe.load.model_copy(update={"weights": spelled.weights})
    return recipe.model_copy(update={"model": spelled.model, "load": load}), spelled.note


def _check_size(recipe: Recipe, source: str, flags: Mapping[str, str]) -> None:
    """Refuse images that a network of this project can't halve often enough.

    Networks from elsewhere take smaller ones too, and are asked when they are loaded.

    Raises:
        RecipeError: A side is too short; the message names the flag, or the file and the key.
    """
    if family_of_model(recipe.model).outside is not None or is_own_graph(recipe.model):
        return
    for section in ("preprocess", "train"):
        size, where = getattr(recipe, section).image_size, f"{section}.image_size"
        if size is not None and (side := min(sides_of(size))) < MIN_IMAGE_SIZE:
            told = flags.get(where) or f"{source}: '{where}' is"
            raise RecipeError(
                f"{told} {side}: input should be greater than or equal to {MIN_IMAGE_SIZE}, as "
                f"{recipe.model} halves its images five times"
            )


def _check_names(recipe: Recipe, source: str, flags: Mapping[str, str]) -> None:
    """Refuse a form or a placement that the model's family does not have.

    Raises:
        RecipeError: A field names an unknown form or placement; the message lists the known ones.
    """
    family = family_of_model(recipe.model)
    forms, placements = ("raw", *family.forms), family.placements
    all_forms, all_placements = (*forms, *family.gpu_forms), (*placements, *family.gpu_placements)
    stated: list[tuple[str, str | None, tuple[str, ...]]] = [
        ("export.form", recipe.export.form, (*forms, "auto")),
        ("quantize.placement", recipe.quantize.placement, (*placements, "auto")),
    ]
    for runtime, plan in recipe.plans.items():
        stated.append((f"plans.{runtime}.form", plan.form, forms))
        stated.append((f"plans.{runtime}.placement", plan.placement, placements))
        if family.placer != "roles" and (plan.float_groups or plan.int8_groups):
            raise RecipeError(
                f"{source}: 'plans.{runtime}' names groups of products, and {family.label} is not "
                "placed by role; leave out float_groups and int8_groups"
            )
    for precision, by_batch in recipe.engine.plans.items():
        for batch, one in by_batch.items():
            where = f"engine.plans.{precision}.{batch}"
            stated.append((f"{where}.form", one.form, all_forms))
            stated.append((f"{where}.placement", one.placement, all_placements))
    for where, name, known in stated:
        if name is not None and name not in known:
            told = flags.get(where) or f"{source}: '{where}' is"
            raise RecipeError(
                f"{told} '{name}': {family.label} has {', '.join(known[:-1])} and {known[-1]}"
            )


class _Loader(NoAliases, yaml.SafeLoader):
    """A YAML loader that refuses aliases: a few nested ones could expand to gigabytes."""


def _read_yaml(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise RecipeError(f"{path}: over {_MAX_BYTES} bytes, which no recipe has")
        return yaml.load(content.decode("utf-8"), _Loader)
    # A number of thousands of digits raises ValueError, deep nesting RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path}: not YAML ({reason}); see `edge-convnext recipes`") from error
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror})") from error


def _find_recipe(name_or_path: str) -> Path:
    shipped = recipe_folder() / f"{name_or_path}.yaml"
    if name_or_path in recipe_names():
        return shipped
    path = Path(name_or_path)
    if path.is_file():
        return path
    nearest = difflib.get_close_matches(name_or_path, recipe_names(), n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"shipped: {', '.join(recipe_names())}"
    raise RecipeError(f"no recipe '{name_or_path}' (neither a shipped name nor a file); {hint}")


def _apply(fields: dict[str, Any], overrides: Mapping[str, Any], source: str) -> dict[str, Any]:
    merged = {
        key: dict(value) if isinstance(value, dict) else value for key, value in fields.items()
    }
    for dotted, value in overrides.items():
        section, _, field = dotted.rpartition(".")
        target = merged
        if section:
            target = merged.setdefault(section, {})
            if not isinstance(target, dict):
                raise RecipeError(
                    f"{source}: '{section}' is a section, not a {type(target).__name__}"
                )
        target[field] = os.fspath(value) if isinstance(value, os.PathLike) else value
    return merged


def _explain(error: ValidationError) -> str:
    errors = error.errors()
    first = errors[0]
    if first["type"] == "extra_forbidden":
        parts = [str(part) for part in first["loc"]]
        nearest = difflib.get_close_matches(parts[-1], _valid_keys(parts[:-1]), n=1, cutoff=0.0)
        meant = ".".join([*parts[:-1], nearest[0]])
        return f"unknown key '{shorten('.'.join(parts))}': did you mean '{shorten(meant)}'?"
    if not first["loc"]:  # an error about several fields together
        return str(first["msg"]).removeprefix("Value error, ")
    where = _find_field(first["loc"])
    rest = [each for each in errors if _find_field(each["loc"]) != where]
    more = f" (and {len(rest)} more)" if rest else ""
    return f"'{shorten(where)}' is {_explain_value(error)}{more}"


def _explain_value(error: ValidationError) -> str:
    """Describe the first bad value, and what it should be."""
    where = _find_field(error.errors()[0]["loc"])
    same = [each for each in error.errors() if _find_field(each["loc"]) == where]
    # An error about an item of a list says more than the error about the whole list.
    items = [each for each in same if isinstance(each["loc"][-1], int)]
    told = items or same
    messages = [each["msg"].lower().removeprefix("value error, ") for each in told]
    return f"{reprlib.repr(told[0]['input'])}: {', or '.join(dict.fromkeys(messages))}"


def _valid_keys(section: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in section:
        model = _find_section(model, part) or model
    return list(model.model_fields)


def _find_field(location: tuple[int | str, ...]) -> str:
    """Return the dotted field of an error, without the union branches that pydantic appends."""
    model: type[BaseModel] | None = Recipe
    parts = []
    for part in location:
        if model is None and isinstance(part, str):
            break
        parts.append(str(part))
        model = _find_section(model, part) if model and isinstance(part, str) else None
    return ".".join(parts)


def _find_section(model: type[BaseModel], field: str) -> type[BaseModel] | None:
    annotation = model.model_fields[field].annotation if field in model.model_fields else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def resolve_recipe(
    name_or_path: str | None,
    overrides: Mapping[str, Any],
    flags: Mapping[str, str] | None = None,
) -> Recipe:
    """Find the recipe that a command line means: named, the demo, or defaults with overrides.

    Without a name, the demo is used if neither weights nor data are given; its sizes and
    training can still be overridden.

    Raises:
        RecipeError: The recipe is missing or invalid, as for `load_recipe`.
    """
    if name_or_path is not None:
        return load_recipe(name_or_path, overrides, flags)
    model = str(overrides.get("model", Recipe().model))
    weights = overrides.get("load.weights") or settle_model(model, None).weights
    if weights is not None or overrides.get("data.source", DIGITS) != DIGITS:
        return make_recipe({}, "command line", overrides, flags)
    return load_recipe("demo", overrides, flags)
