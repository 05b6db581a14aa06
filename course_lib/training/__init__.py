"""How the networks get their weights: one loop, recipes, checkpoints.

`course train NAME` runs the recipe NAME; `train(recipe)` is the same from Python. Both run on the CPU or a GPU, and
unchanged on several processes and machines: `torchrun --nproc-per-node 2 -m course_lib.coursework.cli train NAME`.
"""

from course_lib.training.loop import TrainingResult, train
from course_lib.training.recipe import Recipe
from course_lib.training.recipes import all_recipes, find_recipe, shipped_network
from course_lib.training.weights import save_weights

__all__ = ["Recipe", "TrainingResult", "all_recipes", "find_recipe", "save_weights", "shipped_network", "train"]
