"""What people made of answers that they were asked to correct: how many they left as they were, and how much of each they kept."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from alidade.records import Candidates, Conversation, Demonstration, Estimate, Record
from alidade.stats import clustered_proportion, mean_estimate


class Corrections(Record):
    """Corrected answers: the share left as they were, and the mean share of words that the two versions have in common, in order.

    `kept` is twice the words in common over the words of both; 1 is the same text. Both are None where no answer to correct is known.
    """

    answers: int
    prompts: int
    unchanged: Estimate | None
    kept: Estimate | None


def corrections(demonstrations: Sequence[Demonstration], candidates: Sequence[Candidates]) -> Corrections | None:
    """How far people changed the answers they were shown (a prompt's first without an error); None where they corrected none."""
    if not demonstrations:
        return None
    shown = {
        _key(row.prompt.conversation): answer.text
        for row in candidates
        for answer in reversed(row.answers)
        if not answer.error
    }
    known = [(prompt, row.answer) for row in demonstrations if (prompt := _key(row.prompt)) in shown]
    prompts = [prompt for prompt, _ in known]
    unchanged = [answer == shown[prompt] for prompt, answer in known]
    kept = [_in_common(shown[prompt], answer) for prompt, answer in known]
    return Corrections(
        answers=len(demonstrations),
        prompts=len({_key(row.prompt) for row in demonstrations}),
        unchanged=clustered_proportion(unchanged, prompts) if known else None,
        kept=mean_estimate(kept, prompts) if known else None,
    )


def _key(prompt: Conversation) -> str:
    return prompt.model_dump_json()


def _in_common(before: str, after: str) -> float:
    return SequenceMatcher(None, before.split(), after.split(), autojunk=False).ratio()
