"""Human preferences: reading them from files, tallying votes, splitting by prompt, and the baselines a reward model must beat."""

from alidade.preferences.baselines import length_only, majority
from alidade.preferences.formats import Loaded, read_comparisons, read_demonstrations, read_prompts
from alidade.preferences.split import Split, held_out, prompt_key, split_by_prompt, take
from alidade.preferences.tally import Tallied, tally

__all__ = [
    "Loaded",
    "Split",
    "Tallied",
    "held_out",
    "length_only",
    "majority",
    "prompt_key",
    "read_comparisons",
    "read_demonstrations",
    "read_prompts",
    "split_by_prompt",
    "take",
    "tally",
]
