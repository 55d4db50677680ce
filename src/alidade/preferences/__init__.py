"""Human preferences: reading them from files, tallying votes, splitting by prompt, and the baselines to beat."""

from alidade.preferences.baselines import beside_baselines
from alidade.preferences.export import trl_columns
from alidade.preferences.formats import (
    Loaded,
    read_comparisons,
    read_demonstrations,
    read_feedback,
    read_judgements,
    read_prompts,
    together,
)
from alidade.preferences.rankings import comparisons_in
from alidade.preferences.slices import slices
from alidade.preferences.split import Split, held_out, prompt_key, split_by_prompt, take
from alidade.preferences.tally import Tallied, tally
from alidade.preferences.unpaired import unpaired

__all__ = [
    "beside_baselines",
    "Loaded",
    "Split",
    "Tallied",
    "comparisons_in",
    "held_out",
    "prompt_key",
    "read_comparisons",
    "read_demonstrations",
    "read_feedback",
    "read_judgements",
    "read_prompts",
    "slices",
    "split_by_prompt",
    "take",
    "tally",
    "together",
    "trl_columns",
    "unpaired",
]
