"""ICAI's annotated pairs, version 2: one JSON document with annotators, people and principles alike, and comparisons.

An annotator says `a`, `b` or nothing of a pair, in one attribute; so who judges several attributes is several annotators here.
What else a vote says stands beside its `pref`, what else a pair says in its `metadata`.

Source: rdnfn/icai, `src/inverse_cai/data/annotated_pairs_format.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alidade.digest import digest_of
from alidade.errors import DataError
from alidade.preferences.columns import is_transcript, transcript_turns
from alidade.preferences.interchange.bundle import Preferences, Written, as_votes, one_question, turns
from alidade.preferences.interchange.gathering import Gathering, ballots, extras_of
from alidade.preferences.tables import Row
from alidade.records import Candidates, Conversation, Prompt, Source, Vote

VERSION = "2.0"
KINDS: Mapping[Source, str] = {"person": "human", "constitution": "principle"}
TIE = "tie"
REPEATED = "a second vote of one annotator on one pair"


def icai(given: Preferences) -> Written:
    """Votes as one document, the only row."""
    out = Written()
    annotators: dict[str, dict[str, Any]] = {}
    pairs: dict[tuple[str, int, int], dict[str, Any]] = {}
    candidates, votes = as_votes(given, out)
    for vote, row, left, right in ballots(candidates, votes, out):
        low, high = sorted((vote.left, vote.right))
        texts = {vote.left: left, vote.right: right}
        pair = pairs.get((vote.prompt_id, low, high))
        if pair is None:
            sides = (texts[low], texts[high])
            pair = pairs[vote.prompt_id, low, high] = _pair(row, (low, high), sides, given.beside)
        who = digest_of([vote.annotator, vote.attribute, vote.source])[:8]
        if who in pair["annotations"]:
            out.refused[REPEATED] += 1
            continue
        annotators.setdefault(who, _annotator(vote))
        pair["annotations"][who] = _annotation(vote, low)
    metadata = {"version": VERSION, "description": "votes on pairs of answers", "dataset_name": "alidade"}
    if annotators:
        metadata["default_annotator"] = next(iter(annotators))
    out.rows.append({"metadata": metadata, "annotators": annotators, "comparisons": list(pairs.values())})
    return out


def read_icai(rows: Iterable[Row]) -> Preferences:
    """Answers and votes from a document; an annotation without a preference that is no tie is no vote.

    Raises:
        DataError: when the document is not of version 2.
    """
    found = Gathering()
    for row in rows:
        document = row.values
        version = str(document["metadata"].get("version"))
        if not version.startswith("2"):
            hint = "ICAI writes version 2.0 since its release 0.4"
            raise DataError(f"annotated pairs of version {version}", where=row.where, hint=hint)
        for pair in document["comparisons"]:
            _read_pair(found, row, pair, document["annotators"])
    return found.preferences()


def _pair(
    row: Candidates, numbers: tuple[int, int], sides: tuple[str, str], beside: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    name = f"{row.prompt.id}/{numbers[0]}-{numbers[1]}"
    about = dict(beside.get(name, {}))
    asked = one_question(row.prompt.conversation)
    own: dict[str, Any] = {"prompt_id": row.prompt.id, "answers": list(numbers)}
    if asked is None or is_transcript(asked):
        own["turns"] = turns(row.prompt.conversation)
    if row.prompt.about:
        own["about"] = dict(row.prompt.about)
    return {
        "id": about.pop("id", name),
        "prompt": asked if asked is not None else _transcript(row.prompt.conversation),
        "response_a": {"text": sides[0], **about.pop("response_a", {})},
        "response_b": {"text": sides[1], **about.pop("response_b", {})},
        "annotations": {},
        "metadata": {**about, **own},
    }


def _annotator(vote: Vote) -> dict[str, Any]:
    kind = KINDS.get(vote.source, "unknown")
    name = vote.annotator or "anonymous"
    description = name if kind == "principle" else f"{name}, {vote.attribute}"
    own = {"annotator": vote.annotator, "attribute": vote.attribute, "source": vote.source}
    return {"name": name, "description": description, "type": kind, **own}


def _annotation(vote: Vote, low: int) -> dict[str, Any]:
    chosen = {"left": vote.left, "right": vote.right}.get(vote.choice)
    says: dict[str, Any] = {"pref": None, "no_pref_reason": TIE}
    if chosen is not None:
        says = {"pref": "a" if chosen == low else "b"}
    extras = {name: value for name, value in extras_of(vote).items() if name not in {"attribute", "source"}}
    mirrored = {"shown_left": "b"} if vote.left != low else {}
    return {**says, "vote": vote.id, **mirrored, **extras}


def _read_pair(found: Gathering, row: Row, pair: Mapping[str, Any], annotators: Mapping[str, Any]) -> None:
    metadata = dict(pair.get("metadata") or {})
    prompt_id = metadata.pop("prompt_id", str(pair["id"]))
    low, high = metadata.pop("answers", (0, 1))
    prompt = Prompt(
        id=prompt_id, conversation=_conversation(pair.get("prompt"), metadata), about=metadata.pop("about", {})
    )
    sides = (pair["response_a"], pair["response_b"])
    for number, side in zip((low, high), sides, strict=True):
        found.answer(row, prompt, number, side["text"])
    name = f"{prompt_id}/{low}-{high}"
    beside = metadata | ({"id": pair["id"]} if pair["id"] != name else {})
    for side, value in zip(("response_a", "response_b"), sides, strict=True):
        beside |= {side: rest} if (rest := {key: value[key] for key in value if key != "text"}) else {}
    if beside:
        found.beside[name] = beside
    for who, said in pair["annotations"].items():
        if said["pref"] is not None or said.get("no_pref_reason") == TIE:
            _read_annotation(found, row, {**annotators[who], "id": who}, said, (prompt_id, low, high))


def _read_annotation(
    found: Gathering, row: Row, who: Mapping[str, Any], said: Mapping[str, Any], pair: tuple[str, int, int]
) -> None:
    prompt_id, low, high = pair
    left, right = (high, low) if said.get("shown_left") == "b" else (low, high)
    picked = {"a": low, "b": high, "text_a": low, "text_b": high, None: None}[said["pref"]]
    sources: dict[str, Source] = {kind: source for source, kind in KINDS.items()}
    known = set(Vote.model_fields) - {"id", "prompt_id", "annotator", "left", "right", "choice", "attribute", "source"}
    found.vote(
        row,
        {
            "id": said.get("vote") or f"{prompt_id}/{low}-{high}.{who['id']}",
            "prompt_id": prompt_id,
            "annotator": who.get("annotator", who.get("name") or who["description"]),
            "attribute": who.get("attribute", "overall"),
            "source": who.get("source") or sources.get(who.get("type", ""), "file"),
            "left": left,
            "right": right,
            "choice": "tie" if picked is None else "left" if picked == left else "right",
            **{name: value for name, value in said.items() if name in known},
        },
    )


def _conversation(prompt: Any, metadata: dict[str, Any]) -> Conversation:
    given = metadata.pop("turns", None)
    if given is not None:
        turns_given = [{"role": turn["role"], "text": turn["content"]} for turn in given]
        return Conversation.model_validate({"messages": turns_given})
    if is_transcript(prompt):
        return Conversation(messages=tuple(transcript_turns(prompt)))
    return Conversation.ask(prompt or "Which is better?")


def _transcript(conversation: Conversation) -> str:
    return "\n\n".join(f"{message.role}: {message.text}" for message in conversation.messages)
