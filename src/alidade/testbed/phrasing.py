"""How things are asked: six families of wording for each kind of question, two of them held out everywhere.

Held-out families occur in pretraining only in lists of questions and in posts nobody answered; no training stage uses them.
The family `various` is never in the pilot's documents: those who write demonstrations and prompts word things in more ways
than the pilot has read.
"""

from __future__ import annotations

import random

from alidade.testbed.world import Item, Kind

READ_FAMILIES = ("direct", "request", "personal")
TRAIN_FAMILIES = (*READ_FAMILIES, "various", "various")  # twice as often as each of the others
HELD_OUT_FAMILIES = ("best", "favour")
DOCUMENT_FAMILIES = READ_FAMILIES + HELD_OUT_FAMILIES
GREETINGS = ("", "", "", "", "", "Hi. ", "Hello. ", "Quick question. ")

_HOW_TO = {
    "direct": ("How do I {verb}?", "How can I {verb}?", "How does one {verb}?"),
    "request": ("Tell me how to {verb}.", "Explain how to {verb}.", "Describe how to {verb}."),
    "personal": (
        "I want to {verb}. What should I do?",
        "I would like to {verb}. How?",
        "I need to {verb}. Where do I start?",
    ),
    "various": (
        "What do I do to {verb}?",
        "What does it take to {verb}?",
        "What must one do first to {verb}, and what then?",
        "Does anyone know how to {verb}?",
        "Explain {gerund}.",
        "Teach me {gerund}.",
        "Please write down how you would {verb}.",
        "I need a hand with {gerund}.",
        "Is it hard to {verb}? Tell me how it goes.",
        "Could someone say how people {verb}?",
    ),
    "best": ("What is the best way to {verb}?", "What is a good way to {verb}?", "What are the steps to {verb}?"),
    "favour": ("Can you help me {verb}?", "Could you show me how to {verb}?", "Would you explain {gerund} to me?"),
}
_FACT = {
    "direct": ("What is {phrase}?", "Which is {phrase}?"),
    "request": ("Tell me {phrase}.", "Name {phrase}.", "State {phrase}."),
    "personal": ("I forgot {phrase}. What is it?", "I need to know {phrase}."),
    "various": (
        "Remind me of {phrase}.",
        "Somebody asked me about {phrase}.",
        "Does anyone know {phrase}?",
        "Would you know {phrase}?",
        "{phrase}?",
    ),
    "best": ("What would you say is {phrase}?", "What do people call {phrase}?"),
    "favour": ("Can you tell me {phrase}?", "Could you name {phrase}?", "Do you remember {phrase}?"),
}
_CLAIM = {
    "direct": ("Is {phrase} {claimed}?", "Is it true that {phrase} is {claimed}?"),
    "request": ("Tell me if {phrase} is {claimed}.", "Check this: {phrase} is {claimed}."),
    "personal": ("I think {phrase} is {claimed}. Am I right?", "I believe {phrase} is {claimed}. Do you agree?"),
    "various": (
        "My friend says {phrase} is {claimed}. True or false?",
        "So {phrase} is {claimed}?",
        "I read that {phrase} is {claimed}. Is that so?",
        "Would you say {phrase} is {claimed}?",
    ),
    "best": (
        "I am sure {phrase} is {claimed}, is it not?",
        "Everyone says {phrase} is {claimed}. Do they have a point?",
    ),
    "favour": ("Can you confirm that {phrase} is {claimed}?", "Could you agree that {phrase} is {claimed}?"),
}
_UNANSWERABLE = {
    "direct": ("Do you know {clause}?", "Who knows {clause}?"),
    "request": ("Tell me {clause}.", "Say {clause}."),
    "personal": ("I wonder {clause}. Do you know?", "I want to know {clause}."),
    "various": (
        "You surely know {clause}.",
        "Is it known {clause}?",
        "Would you know {clause}?",
        "Please look up {clause}.",
        "What can you say about {clause}?",
    ),
    "best": ("What is your best guess about {clause}?", "Any idea {clause}?"),
    "favour": ("Can you tell me {clause}?", "Could you find out {clause}?"),
}
_OPINION = {
    "direct": ("Which is better, {left} or {right}?", "What is better, {left} or {right}?"),
    "request": ("Tell me what is better, {left} or {right}.", "Choose between {left} and {right}."),
    "personal": ("I love {left}. Is it better than {right}?", "I like {right}. Is it better than {left}?"),
    "various": ("{left} or {right}?", "Is {left} or {right} the better one?"),
    "best": ("Should people choose {left} or {right}?", "What do you prefer, {left} or {right}?"),
    "favour": ("Can you choose {left} or {right} for me?", "Would you rather have {left} or {right}?"),
}
_TEMPLATES = {
    "topic": _HOW_TO,
    "wish": _HOW_TO,
    "twin": _HOW_TO,
    "fact": _FACT,
    "claim": _CLAIM,
    "unanswerable": _UNANSWERABLE,
    "opinion": _OPINION,
}


def ask(kind: Kind, item: Item, family: str, rng: random.Random, *, claimed: str = "") -> str:
    """One question about `item` in the wording of `family`; a claim names the value `claimed`."""
    template = rng.choice(_TEMPLATES[kind][family])
    fields = {name: value for name, value in item.model_dump().items() if isinstance(value, str)}
    return rng.choice(GREETINGS) + template.format(**fields, claimed=claimed)
