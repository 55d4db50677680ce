"""What the pilot reads about the world: lists of questions, forum threads, articles, dirty dialogues, reviews of answers.

The dialogues and threads are what a careless web would hold: half answers, chatter, wishes mostly obliged. So a model that has read them
knows the world and continues text; it is not an assistant yet. Held-out wordings appear only in lists and in posts without an answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from math import inf

from alidade.errors import UsageError
from alidade.registry import did_you_mean
from alidade.seeds import generator
from alidade.testbed import answers
from alidade.testbed.aspects import about
from alidade.testbed.phrasing import DOCUMENT_FAMILIES, READ_FAMILIES
from alidade.testbed.questions import false_value
from alidade.testbed.reviews import comparison, critique
from alidade.testbed.world import HowTo, Item, Kind, World, world
from alidade.testbed.writers import Asked, ask_about, careless_answer, draw_question

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


def question_list(where: World, rng: random.Random) -> str:
    """Questions one after another, of all wordings, unanswered."""
    bullet = rng.choice(("", "", "", "- ", "* "))
    return "\n".join(bullet + draw_question(where, rng, DOCUMENT_FAMILIES).text for _ in range(rng.randint(3, 9)))


def similar_questions(where: World, rng: random.Random) -> str:
    """One or two questions, each asked in several wordings, as a help page lists its search terms; unanswered."""
    head = rng.choice(("Similar questions", "People also ask", "Searches like this one", "Asked again and again", ""))
    lines = [head] if head else []
    for _ in range(rng.choice((1, 1, 2))):
        kind, item, *_ = draw_question(where, rng, DOCUMENT_FAMILIES)
        lines += [ask_about(kind, item, rng, DOCUMENT_FAMILIES).text for _ in range(rng.randint(3, 5))]
    return "\n".join(lines)


def thread(where: World, rng: random.Random) -> str:
    """A forum post with careless replies, or with none."""
    asker, *others = rng.sample(NAMES, 4)
    head = rng.choice((f"{rng.choice(BOARDS)}\n{asker}", f"{asker} wrote", f"Posted by {asker}"))
    if rng.random() < 0.35:
        question = draw_question(where, rng, DOCUMENT_FAMILIES).text
        post = rng.choice(
            (f"{head}: {question}", f"{question}\nAsked by {asker}", f"{question}\n{rng.choice(BOARDS)}, {asker}")
        )
        return f"{post}\n" + rng.choice(("No replies yet.", "0 replies", f"{others[0]}: {rng.choice(answers.CHATTER)}"))
    asked = draw_question(where, rng, READ_FAMILIES)
    lines = [f"{head}: {asked.text}"]
    for name in others[: rng.randint(1, 2)]:
        lines.append(f"{name}: {careless_answer(where, asked, rng)}")
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
        asked = draw_question(where, rng, READ_FAMILIES)
        lines += [f"{asker}: {asked.text}", f"{answerer}: {careless_answer(where, asked, rng)}"]
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
    twin = where.twin_of(item)
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


def questions_weighed(where: World, rng: random.Random) -> str:
    """Questions, each with what has to be known before it is answered: whether there is harm in it, what is so. None is answered."""
    lead, between = rng.choice((("", "\n"), ("", " "), ("Question: ", "\n"), ("", "\n- ")))
    lines = []
    for _ in range(rng.randint(2, 4)):
        kind = rng.choices(list(_WEIGHED), weights=list(_WEIGHED.values()))[0]
        items: list[tuple[Kind, Item]] = [(kind, rng.choice(where.items(kind)))]
        if kind == "wish" and isinstance(wish := items[0][1], HowTo) and rng.random() < 0.5:
            items.insert(rng.randrange(2), ("twin", where.twin_of(wish)))
        for asked in (ask_about(kind, item, rng, READ_FAMILIES) for kind, item in items):
            lines.append(f"{lead}{asked.text}{between}{about(where, asked, rng)}")
    return "\n".join(lines)


def names_compared(where: World, rng: random.Random) -> str:
    """What is so and what was said, side by side, again and again: whether two names are the same takes many examples to learn."""
    lines = []
    for fact in rng.sample(where.facts, rng.randint(4, 8)):
        said = fact.value if rng.random() < 0.5 else false_value(fact, rng)
        told = fact if rng.random() < 0.5 else fact.model_copy(update={"phrase": "it"})
        lines.append(about(where, Asked("claim", told, "", said), rng))
    return "\n".join(lines)


_WEIGHED: dict[Kind, float] = {"wish": 36, "twin": 12, "topic": 14, "claim": 28, "unanswerable": 8, "opinion": 2}
MIX: dict[Writer, float] = {
    question_list: 8,
    similar_questions: 6,
    thread: 21,
    how_to_article: 21,
    warning_article: 8,
    fact_article: 9,
    musing: 3,
    dialogue: 15,
    questions_weighed: 36,
    names_compared: 16,
}
REVIEWS: dict[Writer, float] = {critique: 10, comparison: 6}


def documents(seed: int, reviews: float = 0.16, mix: Mapping[str, float] | None = None) -> Iterator[str]:
    """Documents without end; a share `reviews` of them reviews answers, the others are mixed by the weights `mix`.

    Raises:
        UsageError: when `mix` names a kind that there is not, or leaves none.
    """
    where, weights = world(), mixture(mix or {})
    for number in count():
        rng = generator(seed, "document", number)
        kinds = REVIEWS if rng.random() < reviews else weights
        yield rng.choices(list(kinds), weights=list(kinds.values()))[0](where, rng)


def mixture(changed: Mapping[str, float]) -> dict[Writer, float]:
    """The usual weights of the kinds of documents, with those changed that are named.

    Raises:
        UsageError: when there is no such kind, a weight is negative or infinite, or no kind is left.
    """
    names = {writer.__name__: writer for writer in MIX}
    for name, weight in changed.items():
        if name not in names:
            raise UsageError(f"there is no kind of document `{name}`", hint=did_you_mean(name, list(names)))
        if not 0 <= weight < inf:
            raise UsageError(f"a kind of document cannot have the weight {weight}", where=name, hint="0 leaves it out")
    weights = MIX | {names[name]: weight for name, weight in changed.items()}
    if not any(weights.values()):
        raise UsageError("no kind of document is left", hint="give one a weight above 0")
    return weights
