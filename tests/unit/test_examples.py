"""Few-shot examples: read from a file, shown in either form, and named where they cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.known_model import constitution, principle

from alidade.constitution.example_files import read_shots
from alidade.constitution.examples import (
    ComparisonShot,
    CritiqueShot,
    Shots,
    critique_of,
    critique_text,
    guarded,
    reasoned_of,
    reasoned_text,
    talk_of,
)
from alidade.constitution.importers import published
from alidade.constitution.wording import PUBLISHED, REVIEWS
from alidade.errors import DataError
from alidade.records import Conversation

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "constitution" / "cai_principles.json"
with_data = pytest.mark.skipif(not DATA.exists(), reason="the project's public data are not beside the repository")
OWN = """
critiques:
- prompt: How do I pick a lock?
  answer: With a pin.
  critique_request: What is wrong?
  critique: It helps a thief.
  revision_request: Rewrite it.
  revision: Call a locksmith.
comparisons:
- {prompt: 'Is it late?', corrects: [It is nine.], incorrects: [Who knows., Go away.]}
thoughts:
- {prompt: 'Is it late?', first: It is nine., second: Go away., thought: (A) says when., choice: A}
"""


def own(folder: Path, text: str = OWN) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.shared_data
@with_data
def test_the_published_examples_are_shown_byte_for_byte():
    shots = read_shots(DATA)
    assert (len(shots.critiques), len(shots.comparisons), len(shots.thoughts)) == (5, 5, 6)
    for text in shots.critiques:
        assert critique_text(text, PUBLISHED) == text.removesuffix("\n\nHuman:")
    for one in shots.comparisons:
        turns = [PUBLISHED.turns[turn.role] + turn.text for turn in one.talk.messages]
        assert "".join(turns) + "\n\nAssistant:" == one.prompt
    shown = [reasoned_text(reasoned_of(text), PUBLISHED.thought, "Which?") for text in shots.thoughts]
    asked = ["\n\n" + text.lstrip("\n").replace("{}", "\nWhich? Options:") for text in shots.thoughts]
    # One of the six is published with another opening.
    assert sum(mine == theirs for mine, theirs in zip(shown, asked, strict=True)) == 5


def test_examples_of_ones_own_are_shown_in_each_form(tmp_path):
    shots = read_shots(own(tmp_path))
    (critique,) = shots.critiques
    assert critique_text(critique, PUBLISHED) == (
        "\n\nHuman: How do I pick a lock?\n\nAssistant: With a pin.\n\nCritiqueRequest: What is wrong?\n\nCritique: It helps a "
        "thief.\n\nRevisionRequest: Rewrite it.\n\nRevision: Call a locksmith."
    )
    assert critique_text(critique, REVIEWS) == (
        "Question: How do I pick a lock?\nAnswer: With a pin.\nRequest: What is wrong?\nCritique: It helps a thief.\n"
        "Request: Rewrite it.\nRevision: Call a locksmith."
    )
    assert "Critique:" not in critique_text(critique, PUBLISHED, critique=False)


def test_examples_of_ones_own_go_out_in_the_published_form_and_come_back(tmp_path):
    shots = read_shots(own(tmp_path))
    path = tmp_path / "published.json"
    path.write_text(json.dumps(published(constitution(principle("kind")), shots)))
    back = read_shots(path)
    assert critique_of(back.critiques[0]) == shots.critiques[0].model_copy(
        update={"prompt": Conversation.ask("How do I pick a lock?")}
    )
    assert back.comparisons[0].talk == shots.comparisons[0].talk
    assert reasoned_text(reasoned_of(back.thoughts[0]), PUBLISHED.thought, "Q") == reasoned_text(
        shots.thoughts[0], PUBLISHED.thought, "Q"
    )


def test_what_the_import_command_writes_is_read(tmp_path):
    path = tmp_path / "shots.json"
    path.write_text(
        Shots(comparisons=(ComparisonShot(prompt="a?", corrects=("b",), incorrects=("c",)),)).model_dump_json()
    )
    assert read_shots(path).comparisons[0].talk == Conversation.ask("a?")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("critiques: ['Human: hello']", r"mine\.yaml \(critiques\.0\)"),
        ("comparisons: [{prompt: a, corrects: [], incorrects: [b]}]", "corrects"),
        ("comparisons: [{prompt: a, corrects: [b]}]", "incorrects"),
        ("remarks: []", "remarks"),
        ("{}", "no example"),
        ("comparisons: [", "not YAML"),
        (
            'comparisons: [{prompt: "\\n\\nHuman: a\\n\\nAssistant: b", corrects: [b], incorrects: [c]}]',
            r"comparisons\.0",
        ),
    ],
)
def test_a_file_with_a_fault_is_refused_by_place(tmp_path, text, problem):
    with pytest.raises(DataError) as caught:
        read_shots(own(tmp_path, text))
    assert re.search(problem, f"{caught.value.what} {caught.value.where}")
    assert caught.value.where.startswith(str(tmp_path / "mine.yaml"))


def test_a_transcript_keeps_every_turn_as_it_is():
    talk = talk_of("\n\nHuman: a\n\nb\n\nAssistant:  c \n\nHuman: d\n\nAssistant:")
    assert [(turn.role, turn.text) for turn in talk.messages] == [
        ("user", "a\n\nb"),
        ("assistant", " c "),
        ("user", "d"),
    ]


def test_examples_that_leak_are_left_out_and_named(tmp_path):
    shots = read_shots(own(tmp_path))
    kept = guarded(shots, lambda talk: talk.last_user_text == "Is it late?")
    assert kept.refused == ("comparisons.0 (Is it late?)", "thoughts.0 (Is it late?)")
    assert kept.shots == Shots(critiques=shots.critiques)
    assert isinstance(kept.shots.critiques[0], CritiqueShot)
