"""Judgements about answers that are given as tokens, gathered by prompt as a training gathers them."""

import math

from alidade.records import Comparison, Conversation, Ranking
from alidade.training.judgements import group_rows


class Numbers:
    """In place of a renderer: a text of numbers is a row of these tokens."""

    def prompt(self, asked):
        return [int(number) for number in asked.last_user_text.split()]

    def answer(self, asked, text):
        return [int(number) for number in text.split()]


def compared(prompt, left, right, label_prob, tie_prob=0.0, margin=None):
    asked, sides = Conversation.ask(_text(prompt)), {"left": _text(left), "right": _text(right)}
    return Comparison(id="1", prompt=asked, **sides, label_prob=label_prob, tie_prob=tie_prob, margin=margin)


def ranked(prompt, answers, ranks):
    return Ranking(id="1", prompt=Conversation.ask(_text(prompt)), answers=tuple(map(_text, answers)), ranks=ranks)


def grouped(rows, reading=None):
    groups, dropped = group_rows(Numbers(), rows, math.inf, reading)
    assert not dropped
    return groups


def _text(tokens):
    return " ".join(map(str, tokens))
