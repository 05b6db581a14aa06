"""The recipes that made the shipped weights. Each file here holds some, in a tuple `RECIPES`.

To ship what a recipe has made, copy NAME.safetensors and NAME.json from its folder to course_lib/networks/shipped/;
the tests then hold them to their hash, their recipe and 5 MB.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from torch import nn

from course_lib import expect
from course_lib.networks import load_weights
from course_lib.training.recipe import Recipe


def all_recipes() -> dict[str, Recipe]:
    """All recipes by name, in the alphabet's order of their files."""
    files = [import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)]
    return {recipe.name: recipe for file in files for recipe in file.RECIPES}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none.
    """
    known = all_recipes()
    if name not in known:
        raise expect.InputError(f"expected a recipe among {', '.join(known) or '(none yet)'}, got {name!r}")
    return known[name]


def shipped_network(name: str) -> nn.Module:
    """The network of the recipe of that name with the weights that come with the course, in evaluation mode.

    Raises:
        InputError: there is no such recipe, or no shipped weights of it.
    """
    return load_weights(find_recipe(name).network(), name)
