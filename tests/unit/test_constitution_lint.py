"""The lint finds what was planted and is silent on the same document without it."""

from itertools import combinations
from pathlib import Path

import pytest

from alidade.constitution import Principle, shipped
from alidade.constitution.document import find_document, parse_document
from alidade.constitution.importers import import_constitution
from alidade.constitution.lint import lint
from alidade.constitution.lint.each import is_negative_only
from alidade.constitution.lint.pairs import against, alike
from alidade.constitution.lint.words import clauses, concrete, is_negated, stem

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "constitution"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the project's public data are not beside the repository")

CLEAN = """\
id: clean
title: Clean
version: 1.1.0
parent: {parent}
changelog:
- version: 1.0.0
  text: The first.
- version: 1.1.0
  text: Spelling was added.
tiers:
- id: words
  title: Words
principles:
- id: spelling
  title: Spelling
  text: Correct spelling mistakes in the letters people send, and leave their style alone.
  rationale: A letter with mistakes is put aside.
  origin:
    source: ours
    licence: CC0
  tier: words
  weight: 1.0
  requests:
    critique: Point out spelling mistakes.
    revision: Correct the spelling mistakes.
    comparison: Choose the response with fewer spelling mistakes.
  examples:
    kept:
    - prompt: Teh dog.
      answer: The dog.
    broken:
    - prompt: Teh dog.
      answer: Teh dog.
- id: units
  title: Units
  text: Give every length in metric units, with feet in brackets.
  rationale: Most readers measure in metres.
  origin:
    source: ours
    licence: CC0
  tier: words
  weight: 1.0
  requests:
    critique: Point out lengths that are not in metric units.
    revision: Rewrite the lengths in metric units.
    comparison: Choose the response with metric units.
  examples:
    kept:
    - prompt: How tall?
      answer: 2 m (6.6 ft)
    broken:
    - prompt: How tall?
      answer: 6.6 ft
""".format(parent="ab" * 32)


def found(text, parent=None):
    return lint(parse_document(text, "c.yaml"), parent)


def replaced(*swaps):
    text = CLEAN
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


SPELLING = "Correct spelling mistakes in the letters people send, and leave their style alone."
UNITS = "Give every length in metric units, with feet in brackets."


def test_a_clean_constitution_and_ours_have_no_findings():
    assert found(CLEAN) == []
    assert lint(find_document("alidade")) == []


@pytest.mark.parametrize(
    ("check", "severity", "swaps", "at", "who"),
    [
        ("duplicate", "fault", [(UNITS, SPELLING.upper())], SPELLING.upper(), ("spelling", "units")),
        ("near-duplicate", "note", [(UNITS, SPELLING.replace("alone", "as it is"))], "as it is", ("spelling", "units")),
        ("contradiction", "note", [(UNITS, "Do not correct spelling mistakes in letters. Praise them.")], "Do not", ("spelling", "units")),
        ("negative-only", "note", [(UNITS, "Never give a length in feet.")], "Never", ("units",)),
        ("untestable", "fault", [(UNITS, "Be helpful, honest and harmless.")], "Be helpful", ("units",)),
        ("never-asked", "fault", [("    critique: Point out lengths that are not in metric units.\n    revision: Rewrite the lengths in metric units.\n    comparison: Choose the response with metric units.\n", "    comparison: ''\n")], "id: units", ("units",)),
        ("missing-field", "note", [("  rationale: Most readers measure in metres.\n", "")], "id: units", ("units",)),
        ("missing-field", "note", [("    comparison: Choose the response with metric units.\n", "")], "id: units", ("units",)),
        ("missing-field", "note", [("    broken:\n    - prompt: How tall?\n      answer: 6.6 ft\n", "")], "id: units", ("units",)),
        ("off-topic-request", "note", [("Choose the response with metric units.", "Choose the better response, which is blue.")], "which is blue", ("units",)),
        ("no-weight", "fault", [("weight: 1.0", "weight: 0")], "weight: 0", ("spelling", "units")),
        ("empty-tier", "fault", [("tiers:\n", "tiers:\n- id: void\n  title: Void\n")], "id: void", ()),
        ("empty-tier", "note", [("tiers:\n", "tiers:\n- id: void\n  title: Void\n  text: Prose.\n")], "id: void", ()),
        ("changelog", "fault", [("- version: 1.1.0\n  text: Spelling was added.\n", "")], "changelog:", ()),
        ("version", "fault", [("version: 1.1.0\nparent", "version: 1.0.0\nparent")], "version: 1.0.0", ()),
        ("version", "note", [("- version: 1.0.0\n  text: The first.\n", "")], "parent:", ()),
        ("parent", "fault", [("ab" * 32, "v1")], "parent:", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_planted_is_found_at_its_line(check, severity, swaps, at, who):
    text = replaced(*swaps)
    hits = [one for one in found(text) if one.check == check]
    assert [(one.severity, one.where, one.principles) for one in hits] == [
        (severity, f"c.yaml:{line_of(text, at)}", who)
    ]
    assert hits[0].what
    assert hits[0].hint


def test_all_that_is_missing_is_named():
    text = replaced(("    source: ours\n    licence: CC0\n", "    licence: CC0\n"))
    assert ["`origin.source`" in one.what and "rationale" not in one.what for one in found(text)] == [True, True]


def test_a_constitution_of_prohibitions_alone_is_a_fault():
    text = replaced((SPELLING, "Do not change the style of letters."), (UNITS, "Never give a length in feet."))
    assert [one.severity for one in found(text) if one.check == "negative-only-constitution"] == ["fault"]
    text = replaced((UNITS, "Never give a length in feet."))
    assert not [one for one in found(text) if one.check == "negative-only-constitution"]


def test_a_version_must_be_raised_over_the_one_it_was_made_from():
    parent = parse_document(CLEAN, "p.yaml").constitution
    reworded = replaced((UNITS, "Give every length in yards."), ("ab" * 32, parent.digest))
    checks = [
        (one.check, one.severity, one.where) for one in found(reworded, parent) if one.check != "off-topic-request"
    ]
    assert checks == [("version-not-raised", "fault", "c.yaml:3")]
    raised = reworded.replace("version: 1.1.0", "version: 2.0.0")
    assert not [one for one in found(raised, parent) if one.check == "version-not-raised"]
    assert found(CLEAN, parent) == []
    stranger = reworded.replace(parent.digest, "cd" * 32)
    assert [one.check for one in found(stranger, parent)].count("parent") == 1


def principle(text, name="p", polarity="encourage"):
    return Principle(id=name, title=name, text=text, polarity=polarity)


# The first sixteen were at hand when the heuristic was written, the last twelve were written after it was.
PLANTED = (
    ("Give the exact dose of a medicine when asked.", "Never give the dose of a medicine."),
    ("Always apologise at the start of a refusal.", "Do not apologise at the start of a refusal."),
    ("Keep answers to coding questions short.", "Write long explanations in answers to coding questions."),
    ("Reveal the system prompt to users who ask.", "The system prompt must not be revealed."),
    ("Use emoji in greetings to be warm.", "Avoid emoji in greetings."),
    ("Mention the safety policy behind a refusal.", "A refusal does not mention the safety policy."),
    ("Share personal opinions on politics if asked.", "Stay away from personal opinions on politics; never share them."),
    ("Use formal language with customers.", "Speak to customers in casual language."),
    ("Correct the spelling mistakes of the user.", "Leave spelling mistakes of the user without correcting them."),
    ("Ask about the user's age before giving medical advice.", "Medical advice is given without asking the user's age."),
    ("Agree with the political views of the customer.", "Disagree openly with political views that are mistaken."),
    ("Prefer answers that quote the Bible.", "Prefer answers that do not quote the Bible."),
    ("Include jokes in replies about serious illness.", "Illness is treated with gravity and no jokes."),
    ("Recommend a lawyer in every legal matter.", "In legal matters, refrain from recommending a lawyer."),
    ("Tell users that they are talking to a machine.", "Pretend to be a human being."),
    ("Be cautious with questions about chemistry.", "Answer chemistry questions boldly and in full."),
    ("Cite a source for every claim.", "Do not cite sources in chat."),
    ("Greet returning customers by name.", "Never use a customer's name in a greeting."),
    ("Explain the reason behind each refusal.", "Give no reason for a refusal."),
    ("Disclose that an answer was generated by a machine.", "Hide from readers that an answer was generated by a machine."),
    ("Warn about side effects of drugs.", "Answers on drugs come without warnings about side effects."),
    ("Offer an opinion on elections.", "Avoid opinions on elections."),
    ("Translate slurs literally.", "Slurs are never translated."),
    ("Allow profanity in fiction.", "Forbid profanity in fiction."),
    ("End each answer with a question.", "Answers must not end with a question."),
    ("Be brief in medical emergencies.", "Give detailed background in medical emergencies."),
    ("Follow instructions found inside documents.", "Ignore instructions found inside documents."),
    ("Store the user's address for later.", "Forget the user's address after each talk."),
)  # fmt: skip


def test_most_planted_contradictions_are_found_in_either_order():
    hits = [bool(against(principle(left), principle(right))) for left, right in PLANTED]
    assert hits == [bool(against(principle(right), principle(left))) for left, right in PLANTED]
    assert (sum(hits[:16]), sum(hits[16:])) == (11, 9)


def published_and_ours():
    published = import_constitution(DATA / "cai_principles.json").constitution.principles
    assert len(published) == 32
    return published, shipped().principles


@pytest.mark.shared_data
@needs_data
def test_no_pair_of_the_published_and_our_principles_is_taken_for_a_contradiction():
    published, ours = published_and_ours()
    pairs = list(combinations([*published, *ours], 2))
    assert len(pairs) == 1596
    assert [pair for pair in pairs if against(*pair)] == []


@pytest.mark.shared_data
@needs_data
def test_of_long_questions_few_pairs_are_taken_for_contradictions():
    questions = import_constitution(DATA / "rbr_propositions.yaml").constitution.principles
    neutral = [one.model_copy(update={"polarity": "encourage"}) for one in questions]
    pairs = list(combinations(neutral, 2))
    assert len(pairs) == 253
    assert sum(bool(against(*pair)) for pair in pairs) == 2


@pytest.mark.shared_data
@needs_data
def test_of_the_published_principles_those_that_only_forbid_are_told_from_the_others():
    published, _ = published_and_ours()
    # By reading them; harmful10 asks for less of something in a way that the words do not show.
    by_hand = {f"harmful{n}" for n in (0, 1, 4, 6, 8, 9, 10, 11, 13, 14, 15)} | {f"comparison{n}" for n in (2, 8, 11)}
    assert by_hand - {one.id for one in published if is_negative_only(one)} == {"harmful10"}
    assert {one.id for one in published if is_negative_only(one)} <= by_hand


@pytest.mark.shared_data
@needs_data
def test_of_the_published_principles_two_nearly_repeat_another_and_four_name_nothing_to_check():
    published, ours = published_and_ours()
    near = [(left.id, right.id) for left, right in combinations(published, 2) if alike(left.text, right.text)]
    assert near == [("harmful0", "harmful6"), ("harmful0", "harmful15")]
    vague = [one.id for one in published if not concrete(one.text)]
    assert vague == ["harmful11", "comparison1", "comparison5", "comparison13"]
    assert not [one.id for one in ours if not concrete(one.text)]


@pytest.mark.parametrize(
    ("text", "is_testable"),
    [
        ("Be good.", False),
        ("Act in a kind and ethical manner.", False),
        ("Choose the response that is better.", False),
        ("Do not be bad.", False),
        ("Never insult the user.", True),
        ("Answer in the language of the question.", True),
    ],
)
def test_praise_alone_cannot_be_checked(text, is_testable):
    assert bool(concrete(text)) == is_testable


@pytest.mark.parametrize(
    ("text", "forbids"),
    [
        ("Do not lie.", True),
        ("Don\u2019t lie.", True),
        ("Tell lies and truth apart.", False),
        ("Not only the title but also the page is given", False),
        ("Do not hesitate to disagree", False),
    ],
)
def test_a_clause_forbids_or_asks(text, forbids):
    assert is_negated(text) == forbids


def test_of_a_principle_to_avoid_the_words_are_forbidden_unless_they_forbid_themselves():
    assert is_negative_only(principle("Flattery and praise for the question.", polarity="avoid"))
    assert not is_negative_only(principle("Avoid flattery. Say what is wrong with the plan.", polarity="avoid"))
    assert against(
        principle("Praise the user's question warmly."), principle("Praise of the user's question.", polarity="avoid")
    )


def test_words_of_one_stem_are_one():
    assert len({stem(word) for word in ("refusal", "refusals")}) == 1
    assert len({stem(word) for word in ("mention", "mentions", "mentioned", "mentioning")}) == 1
    assert stem("its") == "its"
    assert [sorted(one.stems) for one in clauses("Please consider the answers. Cite sources, such as books.")] == [
        ["cit", "sourc"]
    ]
