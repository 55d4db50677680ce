"""Evaluations beside one another: what changed between two models on the very same prompts.

Pure functions over the rows of evaluation artifacts; how a model is asked and judged is the business of stages.
"""

from alidade.evals.compare import Claim, PairedTest, compare, corrected

__all__ = ["Claim", "PairedTest", "compare", "corrected"]
