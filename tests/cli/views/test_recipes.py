import io
from pathlib import Path

from rich.console import Console

from edge_convnext.cli.views.recipes import print_recipes


def test_recipes_are_told_with_the_folder_they_lie_in():
    rows = [{"name": "potato", "model": "convnextv2_atto", "image_size": None, "about": "leaves"}]
    folder = Path("a[b]/" + "long" * 40)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_recipes(rows, folder, console)
    lines = console.file.getvalue().splitlines()
    assert [" ".join(line.split()) for line in lines[:2]] == [
        "name model px about", "potato convnextv2_atto None leaves",
    ]  # fmt: skip
    assert lines[2:] == [f"in {folder}"]  # whole, to be copied


def test_a_recipe_of_rectangles_shows_them_with_the_height_first():
    rows = [{"name": "plates", "model": "atto", "image_size": (64, 96), "about": "cars"}]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_recipes(rows, Path("recipes"), console)
    assert "64 x 96" in console.file.getvalue()
