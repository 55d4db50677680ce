"""The ledger tells of a training row which principle, critique and revision, or which questions, made it."""

from tests.known_model import KnownModel, constitution, principle

from alidade.constitution.ledger import told
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.revise import Answered, Reviser, RevisionSettings
from alidade.constitution.wording import PUBLISHED
from alidade.records import Conversation, Prompt

KIND = principle("kind")
TALK = Conversation.ask("How?")


def revised():
    replies = iter(["too harsh", "softer", "still harsh", "softest"])
    reviser = Reviser(
        KnownModel(says=lambda text: next(replies)), constitution(KIND), PUBLISHED, RevisionSettings(steps=2, shots=0)
    )
    (row,) = reviser.revise([Answered(prompt=Prompt(id="q1", conversation=TALK), answer="harsh")], seed=0)
    return row.model_dump(mode="json")


def test_a_revision_is_told_with_every_step_up_to_it():
    head = f"by `kind` ({KIND.digest[:12]}), examples []"
    first = ["answer: harsh", f"step 1: {head}", "  critique: too harsh", "  revision: softer"]
    assert told("revisions", revised(), "q1/revision1") == first
    assert told("revisions", revised(), "q1/revision2") == [
        *first,
        f"step 2: {head}",
        "  critique: still harsh",
        "  revision: softest",
    ]
    assert told("revisions", revised(), "q1") == told("revisions", revised(), "q1/revision2")


def test_a_label_is_told_with_every_question_behind_it():
    judge = Feedback(
        KnownModel(first_prob=lambda text: 0.8 if "(A) [[[one" in text else 0.4),
        constitution(KIND),
        PUBLISHED,
        PreferenceSettings(),
    )
    (row,) = judge.compare([Pair(id="c1", prompt=TALK, left="one", right="two")], seed=0)
    lines = told("comparisons", row.model_dump(mode="json"), "c1")
    assert lines[:2] == ["left: one", "right: two"]
    assert [line.split(": ")[1].split(" (log")[0] for line in lines[2:4]] == [
        "left is better with 0.800",
        "left is better with 0.600",
    ]
    assert lines[4] == "label: left is better with 0.700"


def test_other_rows_are_no_part_of_the_ledger():
    assert told("prompts", {"id": "q1"}, "q1") == []
    assert told("comparisons", {"id": "q1", "left": "a"}, "q1") == []
