"""alidade turns a pretrained language model into a helpful, honest and harmless assistant, and shows the evidence.

Reading order, from the ground up: `errors`, `digest`, `records` (what is said and stored), `store` (artifacts on disk),
`pipeline` (stages, recipes, plan, run, lineage), `models` (what talks), `training` (what learns), `preferences` and
`testbed` (what is learned from), `evals` and `stats` (what is measured), `stages` (where the pipeline meets all of
these), `report`, `cli`.

The names below are loaded when they are first used, so that importing alidade is quick and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AlidadeError": "alidade.errors",
    "Artifact": "alidade.store",
    "Kind": "alidade.store",
    "Manifest": "alidade.store",
    "Store": "alidade.store",
    "read_rows": "alidade.store",
    "write_rows": "alidade.store",
    "Comparison": "alidade.records",
    "Completion": "alidade.records",
    "Conversation": "alidade.records",
    "Demonstration": "alidade.records",
    "Feedback": "alidade.records",
    "Message": "alidade.records",
    "Prompt": "alidade.records",
    "Ranking": "alidade.records",
    "Vote": "alidade.records",
    "Recipe": "alidade.pipeline",
    "Run": "alidade.pipeline",
    "load_recipe": "alidade.pipeline",
    "plan": "alidade.pipeline",
    "read_run": "alidade.pipeline",
    "run": "alidade.pipeline",
    "stage": "alidade.pipeline",
    "ChatModel": "alidade.models.base",
    "Sampling": "alidade.models.base",
    "TokenModel": "alidade.models.base",
    "load": "alidade.models.local",
    "write_report": "alidade.report.render",
}

__all__ = ["__version__"]
__all__ += list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'alidade' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
