"""Ledgers with known answers: judgements and revisions whose every number is said."""

from __future__ import annotations

from alidade.constitution.prefer import ORDERS, Judgement, Preferred
from alidade.constitution.revise import Revised, RevisionStep
from alidade.records import Comparison, Conversation, Prompt


def judged(name: str, prompt: str = "", **probs: float | tuple[float, float]) -> Preferred:
    """A comparison and what each principle says of it: one probability of the left answer, or one for each order."""
    judgements = [
        Judgement(
            principle=principle, principle_digest=f"of {principle}", shown=shown, log_probs=(0, 0), left_prob=prob
        )
        for principle, given in probs.items()
        for shown, prob in zip(ORDERS, given if isinstance(given, tuple) else (given, given), strict=True)
    ]
    comparison = Comparison(
        id=name,
        prompt=Conversation.ask(prompt or f"prompt of {name}"),
        left=f"left of {name}",
        right=f"right of {name}",
        label_prob=sum(one.left_prob for one in judgements) / len(judgements),
        annotator="constitution",
        source="constitution",
    )
    return Preferred(comparison=comparison, judgements=tuple(judgements))


def step(principle: str, revision: str, critique: str = "", fault: str = "") -> RevisionStep:
    """A step by a principle."""
    return RevisionStep.model_validate(
        {
            "principle": principle,
            "principle_digest": f"of {principle}",
            "critique": critique,
            "revision": revision,
            "fault": fault,
        }
    )


def revised(name: str, initial: str, *steps: RevisionStep, asked: str = "", **about: str) -> Revised:
    """A row of revisions."""
    prompt = Prompt(id=name, conversation=Conversation.ask(asked or f"prompt of {name}"), about=about)
    return Revised(prompt=prompt, initial=initial, steps=steps)
