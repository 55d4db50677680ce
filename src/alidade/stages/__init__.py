"""One small module per group of stages: config -> domain function -> artifact. The only place that knows the engine and the domain."""

from importlib import import_module

MODULES = (
    "best_of_n",
    "constitution",
    "doubtful",
    "evaluate",
    "files",
    "held_out",
    "kto",
    "mix",
    "overoptimisation",
    "people",
    "pilot",
    "preference",
    "pretrain",
    "reinforcement",
    "reward_check",
    "sample",
    "score",
    "tally",
    "testbed",
    "testbed_votes",
    "text",
    "thin",
    "training",
    "values",
)


def load_all() -> None:
    """Register every built-in stage."""
    for name in MODULES:
        import_module(f"alidade.stages.{name}")
