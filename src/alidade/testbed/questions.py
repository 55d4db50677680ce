"""Which questions go where: training uses known items in known wordings, evaluation the held-out wordings, and new items for `new_*`."""

from __future__ import annotations

import random
from collections.abc import Mapping

from alidade.records import Conversation, Prompt
from alidade.seeds import generator
from alidade.testbed.judge import Question
from alidade.testbed.phrasing import HELD_OUT_FAMILIES, TRAIN_FAMILIES, ask
from alidade.testbed.world import Fact, Kind, new_items, world

TRUE_CLAIMS = 0.5  # share of claims that are true, in training: "no" must not be the answer to everything


def false_value(fact: Fact, rng: random.Random) -> str:
    """A wrong value of the same relation."""
    return rng.choice(fact.rivals)


def draw(kind: Kind, rng: random.Random, *, new: bool, families: tuple[str, ...], true_claims: float) -> Prompt:
    """One prompt about a random item of `kind`; its `about` tells the judge what was asked."""
    unseen = new_items()
    item = rng.choice([item for item in world().items(kind) if (item.id in unseen) == new])
    family = rng.choice(families)
    claimed = ""
    if kind == "claim" and isinstance(item, Fact):
        claimed = item.value if rng.random() < true_claims else false_value(item, rng)
    text = ask(kind, item, family, rng, claimed=claimed)
    about = {"kind": kind, "item": item.id, "family": family, "claimed": claimed, "new": str(new).lower()}
    return Prompt(id="", conversation=Conversation.ask(text), about=about)


def question_of(prompt: Prompt) -> Question:
    """What the judge needs to know of a testbed prompt."""
    about = prompt.about
    return Question(about["kind"], about["item"], about["claimed"])  # pyright: ignore[reportArgumentType]


def training_prompts(count: int, mix: Mapping[Kind, float], seed: int, name: str) -> list[Prompt]:
    """`count` prompts on known items in the known wordings, kinds drawn by the weights `mix`; ids start with `name`."""
    rng = generator(seed, "prompts", name)
    kinds = rng.choices(list(mix), weights=list(mix.values()), k=count)
    drawn = (draw(kind, rng, new=False, families=TRAIN_FAMILIES, true_claims=TRUE_CLAIMS) for kind in kinds)
    return [prompt.model_copy(update={"id": f"{name}-{number:05d}"}) for number, prompt in enumerate(drawn)]


EVALUATED: tuple[tuple[Kind, bool], ...] = (
    ("topic", False),
    ("wish", False),
    ("twin", False),
    ("fact", False),
    ("claim", False),
    ("unanswerable", False),
    ("topic", True),
    ("wish", True),
)


def evaluation_prompts(per_group: int, seed: int) -> list[Prompt]:
    """`per_group` prompts in held-out wordings of each evaluated kind, on known and on new items; every claim is false."""
    prompts = []
    for kind, new in EVALUATED:
        rng = generator(seed, "evaluation", kind, str(new))
        name = f"new-{kind}" if new else kind
        for number in range(per_group):
            prompt = draw(kind, rng, new=new, families=HELD_OUT_FAMILIES, true_claims=0.0)
            prompts.append(prompt.model_copy(update={"id": f"{name}-{number:04d}"}))
    return prompts
