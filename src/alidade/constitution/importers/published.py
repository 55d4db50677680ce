"""The principles of Constitutional AI as published: 16 critique and revision pairs, 16 comparison instructions, and their examples.

In the file every request stands in its frame; here the frames are taken off, and `published` puts them on again, so that the
same JSON value comes back. A pair with several prompts becomes as many principles of one title.

Source: Bai et al. 2022, arXiv 2212.08073; anthropics/ConstitutionalHarmlessnessPaper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Literal

from alidade.constitution.examples import ComparisonShot, ReasonedShot, Shots, critique_text, reasoned_text
from alidade.constitution.importers.imported import (
    Given,
    Imported,
    fields_of,
    items_of,
    made,
    short_title,
    slug,
    unique,
    words_of,
)
from alidade.constitution.principles import Constitution, Origin, Principle, Requests
from alidade.constitution.wording import PUBLISHED
from alidade.errors import DataError

Asked = Literal["critique", "revision", "comparison"]

_PAIR, _CHOICE = PUBLISHED.critique, PUBLISHED.choice
FRAMES: Mapping[Asked, tuple[str, str]] = {
    "critique": (_PAIR.critique_request, _PAIR.critique),
    "revision": (_PAIR.revision_request, _PAIR.revision),
    # Of what stands between the conversation and a comparison instruction, the last line break is the instruction's.
    "comparison": (_CHOICE.closing[-1], _CHOICE.question_end),
}
PAIRS, PAIR_SHOTS = "CritiqueRevisionInstructions", "CritiqueRevisionFewShotPrompts"
CHOICES, CHOICE_SHOTS, THOUGHT_SHOTS = (
    "RLMadisonInstructions",
    "RLMadisonFewShotPrompts",
    "RLMadisonPrecogFewShotPrompts",
)
_QUESTION_MARK = "\x00"  # stands for the question until it is taken out again; no text holds it
_ORIGIN = Origin(source="Bai et al. 2022, arXiv 2212.08073")
_PAIR_HINT = 'a pair is {"prompt": [TEXT], "edit_request": TEXT}'


def framed(asked: Asked, request: str) -> str:
    """A request as it is published, with its frame."""
    before, after = FRAMES[asked]
    return before + request + after


def read_published(given: Given) -> Imported:
    """The published principles: `harmful0` and so on to critique and revise by, `comparison0` and so on to compare by.

    Raises:
        DataError: when a request is not in its frame, or the file is of another make.
    """
    tree = fields_of(given.json(), given.file, f"an object with `{PAIRS}`, `{CHOICES}` or both")
    left = Counter({name: 1 for name in tree if name not in {PAIRS, PAIR_SHOTS, CHOICES, CHOICE_SHOTS, THOUGHT_SHOTS}})
    principles = list(_pairs(given, fields_of(tree.get(PAIRS, {}), given.at(PAIRS), _PAIR_HINT)))
    for place, text in enumerate(items_of(tree.get(CHOICES, []), given.at(CHOICES), "a list of texts")):
        request = _unframed("comparison", text, given.at(CHOICES, place))
        name = unique(f"comparison{place}", [one.id for one in principles])
        principles.append(
            Principle(
                id=name, title=short_title(request), text=request, origin=_ORIGIN, requests=Requests(comparison=request)
            )
        )
    constitution = given.constitution("The principles of Constitutional AI", principles)
    return Imported(constitution=constitution, format="cai", shots=_shots(given, tree), left=dict(left))


def published(constitution: Constitution, shots: Shots) -> dict[str, Any]:
    """The published form of a constitution: what `read_published` was given, or another constitution in that form."""
    pairs = groupby((one for one in constitution.principles if one.requests.critique), key=lambda one: one.title)
    tree: dict[str, Any] = {PAIRS: {title: _pair(list(ones)) for title, ones in pairs}}
    tree[PAIR_SHOTS] = [one if isinstance(one, str) else critique_text(one, PUBLISHED) for one in shots.critiques]
    asked = [one.requests.comparison for one in constitution.principles if one.requests.comparison]
    tree[CHOICES] = [framed("comparison", request) for request in asked]
    tree[CHOICE_SHOTS] = [_choice_shot(one) for one in shots.comparisons]
    tree[THOUGHT_SHOTS] = [{"prompt": _thought(one)} for one in shots.thoughts]
    return tree


def _choice_shot(shot: ComparisonShot) -> dict[str, Any]:
    prompt = shot.prompt if isinstance(shot.prompt, str) and shot.prompt.startswith("\n\n") else _transcript(shot)
    return {"prompt": prompt, "corrects": list(shot.corrects), "incorrects": list(shot.incorrects)}


def _transcript(shot: ComparisonShot) -> str:
    turns = [PUBLISHED.turns[turn.role] + turn.text for turn in shot.talk.messages]
    return "".join((*turns, PUBLISHED.turns["assistant"].rstrip()))


def _thought(shot: str | ReasonedShot) -> str:
    if isinstance(shot, str):
        return shot
    assert PUBLISHED.thought is not None, "the published form knows reasoning"
    question, end = _QUESTION_MARK, PUBLISHED.thought.question_end
    return reasoned_text(shot, PUBLISHED.thought, question).replace(f"\n{question}{end}", "{}", 1)


def _pairs(given: Given, pairs: Mapping[str, Any]) -> Iterator[Principle]:
    taken: list[str] = []
    for title, value in pairs.items():
        pair = fields_of(value, given.at(PAIRS, title), _PAIR_HINT)
        if stray := sorted(set(pair) - {"prompt", "edit_request"}):
            raise DataError(f"unknown field `{stray[0]}`", where=given.at(PAIRS, title), hint=_PAIR_HINT)
        prompts = items_of(pair.get("prompt"), given.at(PAIRS, title, "prompt"), _PAIR_HINT)
        if not prompts:
            raise DataError("a pair without a prompt", where=given.at(PAIRS, title, "prompt"), hint=_PAIR_HINT)
        revision = _unframed("revision", pair.get("edit_request"), given.at(PAIRS, title, "edit_request"))
        for place, prompt in enumerate(prompts):
            critique = _unframed("critique", prompt, given.at(PAIRS, title, "prompt", place))
            taken.append(unique(slug(title) or "pair", taken))
            yield Principle(
                id=taken[-1],
                title=title,
                text=revision,
                origin=_ORIGIN,
                requests=Requests(critique=critique, revision=revision),
            )


def _unframed(asked: Asked, text: Any, where: str) -> str:
    before, after = FRAMES[asked]
    framed_text = words_of(text, where)
    request = framed_text.removeprefix(before).removesuffix(after)
    if not request or framed(asked, request) != framed_text:
        hint = f"it begins with {before!r} and ends with {after!r}"
        raise DataError(f"a {asked} request that is not in its frame", where=where, hint=hint)
    return request


def _pair(principles: list[Principle]) -> dict[str, Any]:
    prompts = [framed("critique", one.requests.critique) for one in principles]
    return {"prompt": prompts, "edit_request": framed("revision", principles[0].requests.revision)}


def read_published_shots(given: Given) -> Shots:
    """The examples in a file of the published form, whether or not there are principles in it.

    Raises:
        DataError: naming the place that is of another make.
    """
    return _shots(
        given, fields_of(given.json(), given.file, f"an object with `{PAIR_SHOTS}`, `{CHOICE_SHOTS}` or both")
    )


def _shots(given: Given, tree: Mapping[str, Any]) -> Shots:
    hint = 'an example is {"prompt": TEXT, "corrects": [TEXT], "incorrects": [TEXT]}'
    critiques = items_of(tree.get(PAIR_SHOTS, []), given.at(PAIR_SHOTS), "a list of texts")
    choices = items_of(tree.get(CHOICE_SHOTS, []), given.at(CHOICE_SHOTS), hint)
    thoughts = items_of(tree.get(THOUGHT_SHOTS, []), given.at(THOUGHT_SHOTS), 'a list of {"prompt": TEXT}')
    told: list[str] = []
    for place, value in enumerate(thoughts):
        shot = fields_of(value, given.at(THOUGHT_SHOTS, place), 'an example is {"prompt": TEXT}')
        if set(shot) != {"prompt"}:
            raise DataError(
                "unknown fields", where=given.at(THOUGHT_SHOTS, place), hint='an example is {"prompt": TEXT}'
            )
        told.append(words_of(shot["prompt"], given.at(THOUGHT_SHOTS, place, "prompt")))
    return Shots(
        critiques=tuple(words_of(text, given.at(PAIR_SHOTS, place)) for place, text in enumerate(critiques)),
        comparisons=tuple(
            made(ComparisonShot, fields_of(one, given.at(CHOICE_SHOTS, place), hint), given.at(CHOICE_SHOTS, place))
            for place, one in enumerate(choices)
        ),
        thoughts=tuple(told),
    )
