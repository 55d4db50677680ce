"""The engine: stages make artifacts from artifacts, a recipe lists stages, a plan says what must run, a run does it.

It knows no domain. Reading order: `marks` (which config fields decide a result), `stage`, `recipe`,
`plan`, `run`, `lineage`.
"""

from alidade.pipeline.lineage import Explanation, RowFound, Step, explain, resolve, walk_up
from alidade.pipeline.marks import Inert, InputFile, InputFolder, InputReference
from alidade.pipeline.plan import Planned, check_stages, plan
from alidade.pipeline.recipe import Recipe, StageUse, load_recipe
from alidade.pipeline.run import Event, run
from alidade.pipeline.run_record import Run, StageRun, read_run
from alidade.pipeline.stage import ANY_NAME, Stage, StageContext, Upstream, stage, stage_named, stage_names

__all__ = [
    "ANY_NAME",
    "Event",
    "Explanation",
    "Inert",
    "InputFile",
    "InputFolder",
    "InputReference",
    "Planned",
    "Recipe",
    "RowFound",
    "Run",
    "Stage",
    "StageContext",
    "StageRun",
    "StageUse",
    "Step",
    "Upstream",
    "check_stages",
    "explain",
    "load_recipe",
    "plan",
    "read_run",
    "resolve",
    "run",
    "stage",
    "stage_named",
    "stage_names",
    "walk_up",
]
