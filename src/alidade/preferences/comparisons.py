"""Files of comparisons: two answers to a prompt, and which is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from alidade.preferences.columns import (
    BadRow,
    answer_after,
    conversation_of,
    is_transcript,
    only_answer,
    text_of,
    turns_of,
)
from alidade.preferences.export import BESIDE, OWN, exported_comparison
from alidade.preferences.layout import (
    FIRST_SECOND,
    FIVE_POINTS,
    Cells,
    Format,
    LabelOf,
    PromptOf,
    finite,
    joined,
    label_of,
    one,
    probability,
    stated,
    verdict,
    vote_list,
    with_passages,
)
from alidade.records import Comparison, Conversation


@dataclass(frozen=True)
class Pair:
    """Two answers as a file has them; `label_prob` that the left one is better, `shown` if the order tells no label."""

    prompt: Conversation
    left: Any
    right: Any
    label_prob: float
    shown: bool = True
    annotator: str = ""
    attribute: Any = "overall"
    tie_prob: float = 0.0
    margin: float | None = None


def two_answers(
    prompt: PromptOf, left: str, right: str, label: LabelOf, annotator: str = ""
) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of two answers and a label."""

    def read(cells: Cells) -> Iterator[Pair]:
        who = str(cells[annotator]) if annotator else ""
        said = label(cells)
        yield Pair(
            prompt(cells),
            cells[left],
            cells[right],
            said.label_prob,
            annotator=who,
            attribute=cells.get("attribute") or "overall",
            tie_prob=said.tie_prob,
            margin=_margin(cells),
        )

    return read


def ranked(prompt: PromptOf, replies: str) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of replies, best first: every pair of them."""

    def read(cells: Cells) -> Iterator[Pair]:
        asked = prompt(cells)
        for better, worse in combinations(cells[replies], 2):
            yield Pair(asked, better, worse, 1.0, shown=False)

    return read


def numbered_pairs(prompt: PromptOf, answers: str, pairs: str, labels: str) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of answers, a list of pairs of answer numbers (from 1) and a list of labels (1, 2, or 0 for none)."""

    def read(cells: Cells) -> Iterator[Pair]:
        asked, texts = prompt(cells), cells[answers]
        for (left, right), label in zip(cells[pairs], cells[labels], strict=True):
            said = label_of([label], FIRST_SECOND)
            yield Pair(asked, texts[left - 1], texts[right - 1], said.label_prob, tie_prob=said.tie_prob)

    return read


def chosen_rejected(cells: Cells) -> Iterator[Pair]:
    """TRL's preference rows, strings, turns or HH transcripts, the prompt in its own column or common to both answers.

    The file does not name the scale of its `margin`: whoever learns from it does.
    """
    label = probability(cells["label_prob"]) if cells.get("label_prob") is not None else 1.0
    if cells.get("prompt") is not None:
        prompt = conversation_of(turns_of(cells["prompt"], "prompt"))
        left, right = (answer_after(prompt, cells["prompt"], cells[side]) for side in ("chosen", "rejected"))
    else:
        prompt, left, right = _common_prompt(cells["chosen"], cells["rejected"])
    attribute = cells.get("attribute") or "overall"
    yield Pair(prompt, left, right, label, shown=False, attribute=attribute, margin=_margin(cells))


def _margin(cells: Cells) -> float | None:
    return None if cells.get("margin") is None else finite(cells["margin"], "margin")


def _common_prompt(chosen: Any, rejected: Any) -> tuple[Conversation, Any, Any]:
    if isinstance(chosen, str) and not is_transcript(chosen):
        return _common_text(chosen, text_of(rejected, "answer"))
    left, right = turns_of(chosen, "answer"), turns_of(rejected, "answer")
    shared = 0
    while shared < min(len(left), len(right)) - 1 and left[shared] == right[shared]:
        shared += 1
    return conversation_of(left[:shared]), only_answer(left[shared:]), only_answer(right[shared:])


def _common_text(chosen: str, rejected: str) -> tuple[Conversation, str, str]:
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    # The prompt ends at white space: two answers that begin alike keep their first letters.
    shared = next((at for at in range(shared, 0, -1) if chosen[at - 1].isspace()), 0)
    return Conversation.ask(text_of(chosen[:shared], "prompt")), chosen[shared:], rejected[shared:]


def summary_prompt(about: Mapping[str, Any]) -> Conversation:
    """What a post or an article asks to be summarised; a post without title and subreddit is the whole question.

    Source: openai/summarize-from-feedback, `summarize_from_feedback/task_data.py` and README.md.
    """
    if about.get("article") is not None:
        return Conversation.ask(f"Article: {about['article']}\n\nTL;DR:")
    if about.get("title") is None or about.get("subreddit") is None:
        return Conversation.ask(str(about.get("post", "")))
    asked = f"SUBREDDIT: r/{about['subreddit']}\n\nTITLE: {about['title']}\n\nPOST: {about['post']}\n\nTL;DR:"
    return Conversation.ask(asked)


def two_summaries(cells: Cells) -> Iterator[Pair]:
    """Rows of a post, two summaries and the number of the better one."""
    first, second = (one["text"] for one in cells["summaries"])
    said = label_of([cells["choice"]], {0: 1.0, 1: 0.0})
    yield Pair(summary_prompt(cells["info"]), first, second, said.label_prob, annotator=str(cells.get("worker") or ""))


def hh(cells: Cells) -> Iterator[Pair]:
    """HH rows: `chosen` and `rejected` are transcripts, or `prompt` is one."""
    if not is_transcript(cells.get("prompt", cells["chosen"])):
        raise BadRow("not a transcript of '\\n\\nHuman:' and '\\n\\nAssistant:' turns")
    yield from chosen_rejected(cells)


COMPARISONS: tuple[Format[Pair | Comparison], ...] = (
    Format("preference", ("chosen", "rejected"), chosen_rejected, may=("prompt", "label_prob", "margin", "attribute")),
    Format("exported-comparison", ("prompt", "chosen", "rejected", OWN), exported_comparison, may=BESIDE),
    Format("hh", ("chosen", "rejected"), hh, may=("prompt",), named=True),
    Format(
        "pair",
        ("prompt", "left", "right", "label_prob"),
        two_answers(one("prompt"), "left", "right", stated),
        may=("tie_prob", "margin", "attribute"),
    ),
    Format(
        "crowd",
        ("prompt", "response_left", "response_right", "votes"),
        two_answers(one("prompt"), "response_left", "response_right", vote_list("votes")),
    ),
    Format(
        "autoj",
        ("prompt", "response_1", "response_2", "human_label"),
        two_answers(
            one("prompt"), "response_1", "response_2", verdict("human_label", meaning={0: 1.0, 1: 0.0, 2: 0.5})
        ),
    ),
    Format(
        "pandalm",
        ("instruction", "response_1", "response_2", "annotator_1", "annotator_2", "annotator_3"),
        two_answers(
            joined("instruction", "input"),
            "response_1",
            "response_2",
            verdict("annotator_1", "annotator_2", "annotator_3", meaning=FIRST_SECOND),
        ),
        may=("input",),
    ),
    Format(
        "llmbar",
        ("instruction", "output_1", "output_2", "label"),
        two_answers(joined("instruction", "input"), "output_1", "output_2", verdict("label", meaning=FIRST_SECOND)),
        may=("input",),
    ),
    Format(
        "tulu1",
        ("prompt", "completion_a", "completion_b", "preference", "annotator"),
        two_answers(
            one("prompt"), "completion_a", "completion_b", verdict("preference", meaning=FIVE_POINTS), "annotator"
        ),
    ),
    Format("summaries", ("info", "summaries", "choice"), two_summaries, may=("worker",)),
    Format("oasst", ("history", "ranked_replies"), ranked(one("history"), "ranked_replies")),
    Format(
        "qa-feedback",
        ("question", "passages", "predictions", "preference_pairs", "preference"),
        numbered_pairs(with_passages("question", "passages"), "predictions", "preference_pairs", "preference"),
    ),
)
