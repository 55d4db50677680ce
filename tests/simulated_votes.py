"""Votes whose truth is known: worths, leans, slips and drifts are planted."""

import math
import random
from collections.abc import Callable

from alidade.records import Candidates, Completion, Conversation, Prompt, Vote


def answers(count: int, seed: int = 0) -> list[Candidates]:
    """Two answers to each prompt, of different length, some with markdown and some that refuse."""
    rng, found = random.Random(seed), []
    for number in range(count):
        texts = []
        for side in ("x", "y"):
            text = "word " * rng.choice((5, 10, 20, 40)) + side
            text = f"- one\n- two\n{text}" if rng.random() < 0.3 else text
            texts.append(f"I'm sorry, I can't do that. {text}" if rng.random() < 0.2 else text)
        prompt = Prompt(id=f"p{number}", conversation=Conversation.ask(f"question {number}"))
        found.append(Candidates(prompt=prompt, answers=tuple(Completion(text=text) for text in texts)))
    return found


def doublings(row: Candidates) -> float:
    return math.log2(len(row.answers[0].text) / len(row.answers[1].text))


def cast(
    rows: list[Candidates],
    people: int,
    *,
    lean: Callable[[int], float] = lambda who: 0.0,
    side: float = 0.0,
    slip: Callable[[int, int], float] = lambda who, place: 0.0,
    spread: float = 1.5,
    seed: int = 0,
) -> list[Vote]:
    """Everyone votes on every pair, about a minute apart; with chance `slip` a coin decides."""
    rng, votes = random.Random(seed), []
    worth = {row.prompt.id: rng.gauss(0, spread) for row in rows}
    for who in range(people):
        for place, row in enumerate(rows):
            straight = rng.random() < 0.5
            odds = worth[row.prompt.id] + lean(who) * doublings(row)
            odds = odds * (1 if straight else -1) + side
            picks_left = rng.random() < (0.5 if rng.random() < slip(who, place) else 1 / (1 + math.exp(-odds)))
            left, right = (0, 1) if straight else (1, 0)
            votes.append(
                Vote(
                    id=f"{who}/{place}",
                    prompt_id=row.prompt.id,
                    annotator=f"a{who:03}",
                    left=left,
                    right=right,
                    choice="left" if picks_left else "right",
                    seconds=5.0 + who,
                    at=1e6 * who + 60.0 * place,
                )
            )
    return votes
