"""dev"""
from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import ArchitectureSpec, RecipeSpec
@hookimpl
def anchor_register_recipes(register):
    register(RecipeSpec("distill", target="anchor_gpunit.distilling:DistillRecipe", kind="prior", summary="stage I"))
@hookimpl
def anchor_register_architectures(register):
    register(ArchitectureSpec("gp-unit-content", target="anchor_gpunit.networks.content:ContentEncoder", kind="prior", summary="x"))
