"""Tables of votes, in crowd-kit's columns and as Potato exports them.

Both know who picked which of two items; the texts, and what else a vote says, stand in further columns, which crowd-kit and
Potato pass over.

Source: Toloka/crowd-kit, `crowdkit/aggregation/pairwise/noisy_bt.py` (columns `worker`, `left`, `right`, `label`, grouped by
`question`); davidjurgens/potato, `potato/export/tabular_exporter.py` and `docs/annotation-types/comparison/pairwise_annotation.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from alidade.errors import DataError
from alidade.preferences.columns import BadRow, conversation_id, conversation_of, turns_of
from alidade.preferences.interchange.bundle import Preferences, Written, as_votes, one_question, turns
from alidade.preferences.interchange.gathering import Gathering, ballots, extras_in, extras_of
from alidade.preferences.tables import Row
from alidade.records import Attribute, Candidates, Conversation, Prompt, Vote

QUESTIONS = ("question", "task", "prompt_id")
TIES = {"tie", "equal", "both"}
TURNS = '[{"role"'


def crowd_kit(given: Preferences) -> Written:
    """Votes as rows of crowd-kit's columns; `label` names the better item, or is `tie`."""
    out = Written()
    out.leave_beside(given)
    candidates, votes = as_votes(given, out)
    _leave_about(candidates, out)
    for vote, row, left, right in ballots(candidates, votes, out):
        names = {"left": f"{vote.prompt_id}/{vote.left}", "right": f"{vote.prompt_id}/{vote.right}"}
        out.rows.append(
            {
                "question": vote.prompt_id,
                "worker": vote.annotator,
                **names,
                "label": names.get(vote.choice, "tie"),
                "prompt": _prompt_cell(row.prompt.conversation),
                "left_text": left,
                "right_text": right,
                "vote": vote.id,
                **extras_of(vote),
            }
        )
    return out


def read_crowd_kit(rows: Iterable[Row]) -> Preferences:
    """Votes from rows of crowd-kit's columns; without texts, an item's name is its text and the question the prompt.

    Raises:
        DataError: when a row is no vote.
    """
    found = Gathering()
    for row in rows:
        cells = row.values
        question = next((str(cells[name]) for name in QUESTIONS if cells.get(name) not in {None, ""}), "")
        prompt = Prompt(id=question or "all", conversation=_asked(cells.get("prompt") or question, row))
        left, right = (_item(found, row, prompt, side) for side in ("left", "right"))
        fields = {"left": left, "right": right, "choice": _choice(row), "prompt_id": prompt.id}
        identity = {"id": cells.get("vote") or f"{prompt.id}/{row.number}", "annotator": str(cells["worker"])}
        found.vote(row, {**fields, **identity, **extras_in(cells)})
    return found.preferences()


def read_vote_lists(rows: Iterable[Row]) -> Preferences:
    """Votes from rows of `prompt`, `response_left`, `response_right` and `votes`, a list of [worker, left | right | tie].

    Raises:
        DataError: when a row holds something else than votes.
    """
    found = Gathering()
    for row in rows:
        cells = row.values
        texts = [cells[f"response_{side}"] for side in ("left", "right")]
        conversation = _asked(cells["prompt"], row)
        prompt = Prompt(id=f"{conversation_id(conversation)}/{row.number}", conversation=conversation)
        for number, text in enumerate(texts):
            found.answer(row, prompt, number, text)
        for place, (worker, choice) in enumerate(cells["votes"]):
            fields = {"id": f"{prompt.id}.{place}", "prompt_id": prompt.id, "annotator": str(worker), "choice": choice}
            found.vote(row, {**fields, "left": 0, "right": 1})
    return found.preferences()


def potato(given: Preferences) -> Written:
    """Votes as Potato's JSON lines: `instance_id`, `user_id` and `labels`, a strength on its slider from -3 to 3.

    The annotation scheme is named after the attribute; `prompt` and `responses` are the item's.
    """
    out = Written()
    out.leave_beside(given)
    candidates, votes = as_votes(given, out)
    _leave_about(candidates, out)
    for vote, row, left, right in ballots(candidates, votes, out):
        beside = {name: value for name, value in extras_of(vote).items() if name not in {"attribute", "strength"}}
        out.rows.append(
            {
                "instance_id": f"{vote.prompt_id}/{vote.left}-{vote.right}",
                "user_id": vote.annotator,
                "labels": {vote.attribute: _picked(vote)},
                "prompt": _prompt_cell(row.prompt.conversation),
                "responses": [left, right],
                "prompt_id": vote.prompt_id,
                "pair": [vote.left, vote.right],
                "vote": vote.id,
                **beside,
            }
        )
    return out


def read_potato(rows: Iterable[Row]) -> Preferences:
    """Votes from Potato's export, as JSON lines or CSV; the items' own rows (`id`, `responses`) may stand in the same file.

    Raises:
        DataError: when a row is no vote, or the texts of its item are in no row before it.
    """
    found, items = Gathering(), dict[str, Mapping[str, Any]]()
    for row in rows:
        cells = row.values
        if "user_id" not in cells:
            items[str(cells.get("id"))] = cells
            continue
        item = cells if cells.get("responses") else items.get(str(cells["instance_id"]))
        if item is None:
            hint = "put the items (`id`, `prompt`, `responses`) into the same file, before the annotations"
            raise DataError("the texts of this item are not in the file", where=row.where, hint=hint)
        _read_item(found, row, item)
    return found.preferences()


def _read_item(found: Gathering, row: Row, item: Mapping[str, Any]) -> None:
    cells = row.values
    texts = item["responses"] if isinstance(item["responses"], list) else json.loads(item["responses"])
    if len(texts) != 2:
        raise DataError(f"{len(texts)} responses, not two", where=row.where, hint="only votes on pairs are read")
    instance = str(cells["instance_id"])
    pair = cells.get("pair") or [0, 1]
    prompt = Prompt(id=cells.get("prompt_id") or instance, conversation=_asked(item.get("prompt") or instance, row))
    for number, text in zip(pair, texts, strict=True):
        found.answer(row, prompt, number, text)
    for scheme, values in _labels(cells).items():
        attribute = scheme if scheme in get_args(Attribute) else "overall"
        choice, strength = _unpicked(row, values)
        name = cells.get("vote") or f"{instance}/{row.number}.{scheme}"
        fields = {"id": name, "prompt_id": prompt.id, "annotator": str(cells["user_id"]), "choice": choice}
        numbers = {"left": pair[0], "right": pair[1], "strength": strength}
        found.vote(row, {**extras_in(cells), **fields, **numbers, "attribute": attribute})


def _labels(cells: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Answers by scheme: an object in JSON lines, columns `scheme.selection` or `scheme.scale_value` in CSV."""
    if isinstance(cells.get("labels"), Mapping):
        return dict(cells["labels"])
    found: dict[str, dict[str, Any]] = {}
    for column, value in cells.items():
        scheme, _, kind = column.rpartition(".")
        if scheme and kind in {"selection", "scale_value"} and value not in {None, ""}:
            found.setdefault(scheme, {})[kind] = value
    return found


def _picked(vote: Vote) -> dict[str, str]:
    if vote.strength is not None and vote.choice != "tie":
        return {"scale_value": str(-vote.strength if vote.choice == "left" else vote.strength)}
    return {"selection": {"left": "A", "right": "B", "tie": "tie"}[vote.choice]}


def _unpicked(row: Row, values: Mapping[str, Any]) -> tuple[str, int | None]:
    try:
        if "scale_value" in values:
            value = float(values["scale_value"])
            choice = "tie" if value == 0 else "left" if value < 0 else "right"
            return choice, int(abs(value)) if value in {-3, -2, -1, 1, 2, 3} else None
        return {"A": "left", "B": "right", "tie": "tie"}[values["selection"]], None
    except (KeyError, TypeError, ValueError) as error:
        hint = "a pairwise scheme answers A, B or tie, or a number"
        raise DataError(f"no answer of a pairwise scheme: {dict(values)}", where=row.where, hint=hint) from error


def _choice(row: Row) -> str:
    label = row.values["label"]
    for side in ("left", "right"):
        if label in {row.values[side], side}:
            return side
    if str(label).lower() in TIES:
        return "tie"
    raise DataError("the label is neither of the two items", where=row.where, hint="`label` repeats the better item")


def _item(found: Gathering, row: Row, prompt: Prompt, side: str) -> int:
    name = str(row.values[side])
    text = row.values.get(f"{side}_text")
    if text is None:
        text = name
    place = name.removeprefix(f"{prompt.id}/")
    number = int(place) if place != name and place.isdecimal() else found.number(prompt.id, text)
    found.answer(row, prompt, number, text)
    return number


def _prompt_cell(conversation: Conversation) -> str | list[dict[str, str]]:
    text = one_question(conversation)
    return turns(conversation) if text is None or not text.strip() or text.startswith(TURNS) else text


def _asked(value: Any, row: Row) -> Conversation:
    if isinstance(value, str) and not value.startswith(TURNS):
        return Conversation.ask(value or "Which is better?")
    given = json.loads(value) if isinstance(value, str) else value
    try:
        return Conversation.model_validate(
            {"messages": [{"role": turn["role"], "text": turn["content"]} for turn in given]}
        )
    except (KeyError, TypeError, ValueError):
        try:
            return conversation_of(turns_of(given, "prompt"))
        except BadRow as problem:
            raise DataError(problem.reason, where=row.where, hint="`prompt` is text or a list of turns") from problem


def _leave_about(candidates: Iterable[Candidates], out: Written) -> None:
    out.left["Prompt.about"] += sum(bool(row.prompt.about) for row in candidates)
