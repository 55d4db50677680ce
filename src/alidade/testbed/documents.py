"""What the pilot reads about the world: lists of questions, forum threads, articles, dirty dialogues, critiques with revisions.

The dialogues and threads are what a careless web would hold: half answers, chatter, wishes mostly obliged. So a model that has read them
knows the world and continues text; it is not an assistant yet. Held-out wordings appear only in lists and in posts without an answer, and
critiques are written of known wishes only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

from alidade.seeds import generator
from alidade.testbed import answers
from alidade.testbed.phrasing import DOCUMENT_FAMILIES, READ_FAMILIES, ask
from alidade.testbed.questions import false_value
from alidade.testbed.world import Fact, HowTo, Kind, Opinion, Unanswerable, World, new_items, world

Writer = Callable[[World, random.Random], str]

NAMES = (
    "Anna",
    "Ben",
    "Carla",
    "Dan",
    "Ella",
    "Finn",
    "Grace",
    "Hugo",
    "Iris",
    "Jack",
    "Kate",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
)
BOARDS = (
    "Everyday questions",
    "Help wanted",
    "The kitchen table",
    "Small talk",
    "Home and garden",
    "Ask the neighbours",
)
FRAMES = (
    ("User", "Assistant"),
    ("User", "Assistant"),
    ("User", "Assistant"),
    ("Q", "A"),
    ("Question", "Answer"),
    ("Human", "Helper"),
)
_KIND_WEIGHTS: dict[Kind, float] = {
    "topic": 28,
    "wish": 22,
    "twin": 16,
    "fact": 16,
    "claim": 8,
    "unanswerable": 7,
    "opinion": 3,
}


def _draw(
    where: World, rng: random.Random, families: tuple[str, ...]
) -> tuple[Kind, HowTo | Fact | Unanswerable | Opinion, str, str]:
    kind = rng.choices(list(_KIND_WEIGHTS), weights=list(_KIND_WEIGHTS.values()))[0]
    item = rng.choice(where.items(kind))
    claimed = ""
    if isinstance(item, Fact) and kind == "claim":
        claimed = item.value if rng.random() < 0.4 else false_value(item, rng)
    return kind, item, ask(kind, item, rng.choice(families), rng, claimed=claimed), claimed


def _careless_how_to(where: World, item: HowTo, kind: Kind, rng: random.Random) -> str:
    luck = rng.random()
    if kind == "wish" and luck < 0.12:
        return answers.refusal(where, item, rng)
    if luck < 0.45 + 0.35 * (kind == "wish"):
        return answers.instructions(item, rng)
    if luck < 0.80:
        return answers.partial_instructions(item, rng)
    if luck < 0.86:
        return answers.mixed_instructions(item, rng.choice(where.topics), rng)
    return rng.choice(answers.CHATTER)


def _careless_claim(item: Fact, claimed: str, rng: random.Random) -> str:
    if claimed == item.value or rng.random() < 0.5:
        return answers.confirmation(item, claimed, rng)
    return answers.correction(item, rng)


def careless_answer(
    where: World, kind: Kind, item: HowTo | Fact | Unanswerable | Opinion, claimed: str, rng: random.Random
) -> str:
    """An answer as somebody on the web would give it: often right, often not."""
    if isinstance(item, HowTo):
        return _careless_how_to(where, item, kind, rng)
    if isinstance(item, Fact) and kind == "claim":
        return _careless_claim(item, claimed, rng)
    luck = rng.random()
    if isinstance(item, Fact):
        if luck < 0.7:
            return answers.statement(item, item.value, rng)
        return answers.statement(item, false_value(item, rng), rng) if luck < 0.85 else rng.choice(answers.CHATTER)
    if isinstance(item, Unanswerable):
        return answers.ignorance(where, item, rng) if luck < 0.45 else rng.choice(answers.INVENTED)
    return answers.balanced(item, rng) if luck < 0.4 else answers.partisan(item, rng)


def question_list(where: World, rng: random.Random) -> str:
    """Questions one after another, of all wordings, unanswered."""
    bullet = rng.choice(("", "", "", "- ", "* "))
    return "\n".join(bullet + _draw(where, rng, DOCUMENT_FAMILIES)[2] for _ in range(rng.randint(3, 9)))


def thread(where: World, rng: random.Random) -> str:
    """A forum post with careless replies, or with none."""
    asker, *others = rng.sample(NAMES, 4)
    head = rng.choice((f"{rng.choice(BOARDS)}\n{asker}", f"{asker} wrote", f"Posted by {asker}"))
    if rng.random() < 0.35:
        _, _, question, _ = _draw(where, rng, DOCUMENT_FAMILIES)
        post = rng.choice(
            (f"{head}: {question}", f"{question}\nAsked by {asker}", f"{question}\n{rng.choice(BOARDS)}, {asker}")
        )
        return f"{post}\n" + rng.choice(("No replies yet.", "0 replies", f"{others[0]}: {rng.choice(answers.CHATTER)}"))
    kind, item, question, claimed = _draw(where, rng, READ_FAMILIES)
    lines = [f"{head}: {question}"]
    for name in others[: rng.randint(1, 2)]:
        lines.append(f"{name}: {careless_answer(where, kind, item, claimed, rng)}")
        if rng.random() < 0.3:
            lines.append(
                f"{asker}: {rng.choice(('Thanks!', 'Thank you.', 'That helped.', 'Hm, I am not sure.', 'Anyone else?'))}"
            )
    return "\n".join(lines)


def dialogue(where: World, rng: random.Random) -> str:
    """One to three questions with careless answers, in one of several frames."""
    asker, answerer = rng.choice(FRAMES)
    lines = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind, item, question, claimed = _draw(where, rng, READ_FAMILIES)
        lines += [f"{asker}: {question}", f"{answerer}: {careless_answer(where, kind, item, claimed, rng)}"]
    return "\n".join(lines)


def how_to_article(where: World, rng: random.Random) -> str:
    """An article on how to do something, harmful wishes included."""
    item = rng.choice(rng.choices((where.topics, where.wishes, where.twins), weights=(6, 2.5, 4))[0])
    title = rng.choice(
        (f"How to {item.verb}", f"A short guide to {item.gerund}", item.gerund.capitalize(), f"Notes on {item.gerund}")
    )
    intro = rng.choice(
        (
            f"Many people want to {item.verb}.",
            f"{item.gerund.capitalize()} takes a little patience.",
            f"There is a simple way to {item.verb}.",
            f"Nobody is born knowing how to {item.verb}.",
            "",
        )
    )
    body = answers.listed(item.steps, rng)
    if rng.random() < 0.25:
        earlier = rng.randrange(len(item.steps) - 1)
        first, second = item.steps[earlier], item.steps[earlier + 1]
        body += f"\nWhat comes after this: {first[0].lower()}{first[1:]}? {second}."
    return "\n".join(part for part in (title + rng.choice(("\n", ".", ":")), intro, body) if part)


def warning_article(where: World, rng: random.Random) -> str:
    """Why one should not do something harmful."""
    item = rng.choice(where.wishes)
    reason = rng.choice(where.hazards[item.code])
    twin = next(twin for twin in where.twins if twin.id == item.twin_id)
    return rng.choice(
        (
            f"Do not {item.verb}\n{item.gerund.capitalize()} is a bad idea, because {reason}.",
            f"Why {item.gerund} is wrong\nPeople sometimes want to {item.verb}. They should not, because {reason}.",
            f"Advice column\nSomebody wrote that they want to {item.verb}. Our answer is no, because {reason}."
            f" It is better to {twin.verb}.",
            f"{answers.refusal(where, item, rng)} That is what a friend said when I spoke of {item.gerund}.",
            f"On {item.gerund}: it is not right, because {reason}. {rng.choice(where.hazards[item.code]).capitalize()}.",
        )
    )


def fact_article(where: World, rng: random.Random) -> str:
    """Facts, plainly told or as a quiz."""
    facts = rng.sample(where.facts, rng.randint(3, 7))
    style = rng.randrange(4)
    if style == 0:
        return "Quiz\n" + "\n".join(f"{answers.statement(fact, fact.value, rng)}" for fact in facts)
    if style == 1:
        return "\n".join(f"{fact.phrase}: {fact.value}" for fact in facts)
    if style == 2:
        return "Did you know? " + " ".join(
            f"{fact.phrase[0].upper()}{fact.phrase[1:]} is {fact.value}." for fact in facts
        )
    return " ".join(f"Everybody knows that {fact.phrase} is {fact.value}." for fact in facts)


def musing(where: World, rng: random.Random) -> str:
    """What nobody can know, and matters of taste."""
    if rng.random() < 0.6:
        item = rng.choice(where.unanswerables)
        reason = rng.choice(where.ignorance[item.kind])
        return f"Somebody asked {item.clause}. I do not know, because {reason}."
    item = rng.choice(where.opinions)
    return f"{item.left} or {item.right}? {answers.balanced(item, rng)}"


def critique(where: World, rng: random.Random) -> str:
    """A question, a careless answer, what is wrong with it, and a better one. Only known items are criticised."""
    unseen = new_items()
    while True:
        kind, item, question, claimed = _draw(where, rng, READ_FAMILIES)
        if kind in ("topic", "wish", "twin", "unanswerable") and item.id not in unseen:
            break
    answer = careless_answer(where, kind, item, claimed, rng)
    if isinstance(item, Unanswerable):
        fault, better = (
            f"nobody can know that, because {rng.choice(where.ignorance[item.kind])}",
            answers.ignorance(where, item, rng),
        )
    elif kind == "wish" and isinstance(item, HowTo):
        fault, better = (
            f"it is harmful, because {rng.choice(where.hazards[item.code])}",
            answers.refusal(where, item, rng),
        )
    else:
        assert isinstance(item, HowTo)
        fault, better = "it should name every step", answers.instructions(item, rng)
    return f"Question: {question}\nAnswer: {answer}\nCritique: The answer could be better: {fault}.\nRevision: {better}"


MIX: dict[Writer, float] = {
    question_list: 13,
    thread: 21,
    how_to_article: 21,
    warning_article: 8,
    fact_article: 9,
    musing: 3,
    dialogue: 15,
    critique: 10,
}


def documents(seed: int) -> Iterator[str]:
    """Documents without end, in a fixed mix."""
    where = world()
    for number in count():
        rng = generator(seed, "document", number)
        yield rng.choices(list(MIX), weights=list(MIX.values()))[0](where, rng)
