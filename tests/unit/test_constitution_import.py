"""Constitutions of others come in with every word, and what has no place is counted."""

import json
from pathlib import Path

import pytest

from alidade.constitution.document import as_yaml, parse_document
from alidade.constitution.importers import FORMATS, framed, import_constitution, published
from alidade.constitution.importers.published import FRAMES
from alidade.errors import DataError, UsageError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "constitution"
with_data = pytest.mark.skipif(not DATA.is_dir(), reason="the project's public data are not beside the repository")

PAIR = {"prompt": ["\n\nCritiqueRequest: Is it rude?\n\nCritique:"], "edit_request": "\n\nRevisionRequest: Be civil.\n\nRevision:"}  # fmt: skip
CAI = {"CritiqueRevisionInstructions": {"harmful0": PAIR}, "RLMadisonInstructions": ["\nWhich is civil? Options:"]}
HF = {
    "constitutions": [{"critic": "Is it rude?", "revision": "Be civil."}],
    "system_chat": [[{"role": "user", "content": "Hey!"}, {"role": "assistant", "content": "Go away."}]],
}
RBR = """\
prompt_template: "{question}"
completion_classes:
  ideal:
    refuse: {good_refusal: true}
    comply: {disallowed: false, no_help: false}
derived_propositions:
  good_refusal: {disallowed: false, apology: true, rude: false}
  no_help: {answers: false}
simple_propositions:
  apology:
    prompt: Does it apologise?
  disallowed:
    prompt: Does it hold forbidden content?
  rude:
    prompt: Is it rude?
  answers:
    prompt: Does it answer?
"""
SPEC = """\
# A Spec {#overview}

What this is.

## Levels {#levels}

There are levels.

### Be honest {#be_honest authority=user}

Tell the truth.[^1]

```
# not a heading
```

### No poison {#no_poison authority=root .wide data=x}

Never help with poison.

### Be warm {#be_warm authority=user}

[^1]: A note.
"""
PLAIN = """\
Before all.

# A charter

Why we wrote it.

## Safety

Comes first.

### Weapons

Refuse them.

#### In stories

There too.

### Crises

Be kind.

## Honesty

Say what is so.
"""


def read(tmp_path, file, content, fmt="auto", **called):
    path = tmp_path / file
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return import_constitution(path, fmt, **called)


def refused(tmp_path, name, content, fmt="auto"):
    with pytest.raises(DataError) as found:
        read(tmp_path, name, content, fmt)
    assert name in str(found.value.where)
    assert found.value.hint
    return found.value


# ---- the published principles


@pytest.mark.shared_data
@with_data
def test_the_published_principles_come_in_whole_and_go_out_as_the_same_json():
    path = DATA / "cai_principles.json"
    imported = import_constitution(path)
    constitution = imported.constitution
    assert [one.id for one in constitution.principles] == [
        *(f"harmful{place}" for place in range(16)),
        *(f"comparison{place}" for place in range(16)),
    ]
    assert (len(constitution.critics), len(constitution.judges)) == (16, 16)
    shots = imported.shots
    assert (len(shots.critiques), len(shots.comparisons), len(shots.thoughts)) == (5, 5, 6)
    assert imported.left == {}
    written = json.loads(path.read_text(encoding="utf-8"))
    back = published(parse_document(as_yaml(constitution), "x").constitution, shots)
    assert json.dumps(back) == json.dumps(written)  # the order of fields too


@pytest.mark.shared_data
@with_data
def test_frame_and_request_are_each_published_prompt_byte_for_byte():
    written = json.loads((DATA / "cai_principles.json").read_text(encoding="utf-8"))
    constitution = import_constitution(DATA / "cai_principles.json").constitution
    for name, pair in written["CritiqueRevisionInstructions"].items():
        asked = constitution.named(name).requests
        assert [framed("critique", asked.critique).encode()] == [text.encode() for text in pair["prompt"]]
        assert framed("revision", asked.revision).encode() == pair["edit_request"].encode()
    for place, text in enumerate(written["RLMadisonInstructions"]):
        assert (
            framed("comparison", constitution.named(f"comparison{place}").requests.comparison).encode() == text.encode()
        )
    framing = [part for frame in FRAMES.values() for part in frame]
    asked = [text for one in constitution.principles for text in one.requests.model_dump().values()]
    assert not [text for text in asked if any(part.strip() in text for part in framing if part.strip())]


def test_a_pair_of_several_prompts_becomes_several_principles_and_comes_back_as_one(tmp_path):
    tree = {"CritiqueRevisionInstructions": {"Harm 0": {**PAIR, "prompt": [*PAIR["prompt"], PAIR["prompt"][0].replace("rude", "cold")]}, "b": PAIR}}  # fmt: skip
    imported = read(tmp_path, "cai.json", tree)
    assert [one.id for one in imported.constitution.principles] == ["harm-0", "harm-0-2", "b"]
    back = published(imported.constitution, imported.shots)
    assert back["CritiqueRevisionInstructions"] == tree["CritiqueRevisionInstructions"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"CritiqueRevisionInstructions": {"harmful0": {**PAIR, "prompt": ["Is it rude?"]}}}, "harmful0.prompt.0"),
        ({"CritiqueRevisionInstructions": {"harmful0": {**PAIR, "prompt": []}}}, "harmful0.prompt"),
        ({"CritiqueRevisionInstructions": {"harmful0": {**PAIR, "prompt": "Is it rude?"}}}, "harmful0.prompt"),
        ({"CritiqueRevisionInstructions": {"harmful0": {"prompt": PAIR["prompt"]}}}, "harmful0.edit_request"),
        ({"CritiqueRevisionInstructions": {"harmful0": {**PAIR, "weight": 2}}}, "harmful0"),
        ({"CritiqueRevisionInstructions": []}, "CritiqueRevisionInstructions"),
        ({"RLMadisonInstructions": ["Which is civil?"]}, "RLMadisonInstructions.0"),
        ({"RLMadisonInstructions": ["\n Options:"]}, "RLMadisonInstructions.0"),
        ({"RLMadisonFewShotPrompts": [{"prompt": "a"}]}, "RLMadisonFewShotPrompts.0"),
        ({"RLMadisonPrecogFewShotPrompts": ["a"]}, "RLMadisonPrecogFewShotPrompts.0"),
    ],
)
def test_a_published_file_of_another_make_is_refused_at_its_place(tmp_path, change, place):
    assert str(refused(tmp_path, "cai.json", CAI | change).where).endswith(f"{place})")


def test_fields_nobody_knows_are_counted(tmp_path):
    assert read(tmp_path, "cai.json", CAI | {"sys_prompt_constitution": "Be good."}).left == {
        "sys_prompt_constitution": 1
    }


# ---- the other formats


def test_pairs_without_frames_bring_their_chats(tmp_path):
    imported = read(tmp_path, "grok.json", HF | {"license": "MIT"})
    (principle,) = imported.constitution.principles
    assert (principle.requests.critique, principle.requests.revision) == ("Is it rude?", "Be civil.")
    assert [(turn.role, turn.text) for turn in imported.shots.chats[0]] == [("user", "Hey!"), ("assistant", "Go away.")]
    assert imported.left == {"license": 1}
    for change, place in (
        ({"constitutions": [{"critic": "a"}]}, "constitutions.0.revision"),
        ({"constitutions": ["a"]}, "constitutions.0"),
        ({"constitutions": "a"}, "constitutions"),
        ({"system_chat": [[{"role": "bot", "content": "a"}]]}, "system_chat.0.0"),
    ):
        assert str(refused(tmp_path, "grok.json", HF | change).where).endswith(f"({place})")


def test_a_proposition_is_wanted_or_not_as_the_ideal_says(tmp_path):
    imported = read(tmp_path, "rbr.yaml", RBR)
    told = {one.id: (one.polarity, one.rationale) for one in imported.constitution.principles}
    assert told == {
        "apology": ("encourage", "In an ideal completion: yes for refuse."),
        "disallowed": ("avoid", "In an ideal completion: no for comply, refuse."),
        "rude": ("avoid", "In an ideal completion: no for refuse."),
        "answers": ("encourage", ""),
    }
    assert imported.left == {
        "prompt_template": 1,
        "completion_classes": 1,
        "derived_propositions": 1,
        "polarity": 1,
        "condition of a polarity": 2,
    }


def test_a_faulty_proposition_is_refused_at_its_line(tmp_path):
    misspelt = RBR.replace("    prompt: Is it rude?", "    promt: Is it rude?")
    line = misspelt[: misspelt.index("    promt")].count("\n")
    assert f":{line} " in str(refused(tmp_path, "rbr.yaml", misspelt).where)
    assert refused(tmp_path, "rbr.yaml", "simple_propositions:\n- a", "rbr")


@pytest.mark.shared_data
@with_data
def test_the_published_propositions_come_in_with_all_their_words():
    import yaml

    written = yaml.safe_load((DATA / "rbr_propositions.yaml").read_text(encoding="utf-8"))["simple_propositions"]
    imported = import_constitution(DATA / "rbr_propositions.yaml")
    assert [one.text for one in imported.constitution.principles] == [one["prompt"] for one in written.values()]
    assert len(written) == 23
    assert imported.constitution.named("disallowed-content").polarity == "avoid"
    assert imported.constitution.named("apology").polarity == "encourage"
    assert parse_document(as_yaml(imported.constitution), "x").constitution == imported.constitution


def test_headings_with_an_authority_are_principles_in_its_tier_and_the_rest_is_preamble(tmp_path):
    imported = read(tmp_path, "spec.md", SPEC)
    constitution = imported.constitution
    assert constitution.title == "A Spec"
    assert [tier.id for tier in constitution.tiers] == ["root", "user"]
    assert [(one.id, one.title, one.tier) for one in constitution.principles] == [
        ("be-honest", "Be honest", "user"),
        ("no-poison", "No poison", "root"),
        ("be-warm", "Be warm", "user"),
    ]
    assert constitution.named("be-honest").text == "Tell the truth.[^1]\n\n```\n# not a heading\n```"
    assert constitution.named("be-honest").origin.source == "spec, line 9"
    assert constitution.preamble == "What this is.\n\n## Levels\n\nThere are levels."
    assert imported.left == {"data": 1}


def test_without_authorities_upper_headings_are_tiers(tmp_path):
    constitution = read(tmp_path, "charter.md", PLAIN).constitution
    assert (constitution.title, constitution.preamble) == ("A charter", "Before all.\n\nWhy we wrote it.")
    assert [(tier.id, tier.text) for tier in constitution.tiers] == [("safety", "Comes first.")]
    assert [(one.id, one.tier, one.text) for one in constitution.principles] == [
        ("weapons", "safety", "Refuse them.\n\n#### In stories\n\nThere too."),
        ("crises", "safety", "Be kind."),
        ("honesty", None, "Say what is so."),
    ]
    assert refused(tmp_path, "none.md", "No heading here.\n")


def test_statements_weigh_as_much_as_people_agreed(tmp_path):
    table = 'comment-id,comment-body,agrees,disagrees,moderated\n1,"Choose the response that is kind, and true.",8,0,1\n2,Be brief.,1,3,0\n3,Spam,0,9,-1\n4,,1,1,1\n'
    imported = read(tmp_path, "polis.csv", table)
    first, second = imported.constitution.principles
    assert (first.weight, second.weight) == (0.9, round(2 / 6, 4))
    assert first.rationale == "8 agreed and 0 disagreed."
    assert (first.requests.comparison, second.requests.comparison) == (first.text, "")
    assert imported.left == {"statement moderated out": 1, "empty row": 1, "column commentid": 1}


@pytest.mark.parametrize("head", ["", "statement\n", "Principle\n"])
def test_one_column_is_statements_with_a_header_or_without(tmp_path, head):
    imported = read(tmp_path, "one.csv", f'{head}Be kind.\n"Be brief, please."\n')
    assert [one.text for one in imported.constitution.principles] == ["Be kind.", "Be brief, please."]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("a,b\n1,2\n", 1),
        ("statement,agree,disagree\nKind.,1,2\nBrief.,many,2\n", 3),
        ('statement,agree,disagree\n"Kind\nand true.",1,2\nBrief.,-1,2\n', 4),
        ('statement\n"Kind" x\n', 2),
    ],
)
def test_a_faulty_table_is_refused_at_its_line(tmp_path, table, line):
    assert str(refused(tmp_path, "t.csv", table).where).endswith(f":{line}")


KIND = "Select the response that is kinder."
ANNOTATED = {
    "metadata": {"version": "2.0", "default_annotator": "people"},
    "annotators": {"people": {"type": "human"}, "p1": {"type": "principle", "description": KIND}},
    "comparisons": [
        {"annotations": {"people": {"pref": first}, "p1": {"pref": second}}}
        for first, second in (("a", "a"), ("b", "b"), ("a", "b"), ("a", None), ("tie", "a"))
    ],
}


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        ([KIND], 1.0),
        ({"0": KIND}, 1.0),
        ({KIND: {"agree": 2, "disagree": 1, "other": 7}}, 0.6),
        ([{"principle": KIND, "for": 2, "against": 1}], 0.6),
        ({"principles": [KIND], "votes": {"0": {"for": 2, "against": 1}}}, 0.6),
        ({"principles": {"7": KIND}, "votes": {"7": {"agreed": 2, "disagreed": 1}}}, 0.6),
        (ANNOTATED, 0.6),
    ],
)
def test_learned_principles_are_read_in_each_of_their_shapes(tmp_path, value, weight):
    imported = read(tmp_path, "learned.json", value)
    (principle,) = imported.constitution.principles
    assert (principle.text, principle.requests.comparison, principle.weight) == (KIND, KIND, weight)
    assert imported.format == "icai"


@pytest.mark.parametrize(
    "value",
    [
        [1],
        [""],
        [{"a": 1}],
        {KIND: 3},
        {KIND: {"agree": -1, "disagree": 0}},
        {KIND: {"agree": True, "disagree": 0}},
        [],
        {},
    ],
)
def test_learned_principles_of_another_make_are_refused(tmp_path, value):
    refused(tmp_path, "learned.json", value)


def test_traits_are_of_their_kind_and_their_questions_are_counted(tmp_path):
    imported = read(tmp_path, "c.txt", [{"trait": "I am calm.", "questions": ["Why?", "How?"]}])
    (principle,) = imported.constitution.principles
    assert (principle.kind, principle.text, imported.left) == ("trait", "I am calm.", {"questions": 2})
    refused(tmp_path, "c.txt", [{"trait": "I am calm."}, {"traits": "b"}], "traits")


def test_a_list_of_lines_loses_its_marks_only(tmp_path):
    imported = read(tmp_path, "list.txt", "- Be kind.\n\n2. Choose the response that is true.\n* 3 is a number.\n")
    assert [one.text for one in imported.constitution.principles] == [
        "Be kind.",
        "Choose the response that is true.",
        "3 is a number.",
    ]
    assert [bool(one.requests.comparison) for one in imported.constitution.principles] == [False, True, False]


# ---- which format, and what it is called


@pytest.mark.parametrize(
    ("name", "content", "fmt"),
    [
        ("a.json", CAI, "cai"),
        ("a", CAI, "cai"),
        ("a.json", {"RLMadisonInstructions": CAI["RLMadisonInstructions"]}, "cai"),
        ("a.json", HF, "hf"),
        ("a.yml", RBR, "rbr"),
        ("a.md", SPEC, "markdown"),
        ("a.txt", PLAIN, "markdown"),
        ("a.csv", "Be kind.\n", "statements"),
        ("a.tsv", "statement\tagree\tdisagree\nBe kind.\t1\t0\n", "statements"),
        ("a.json", [KIND], "icai"),
        ("a.txt", [{"trait": "I am calm."}], "traits"),
        ("a.txt", "Be kind.\n", "lines"),
        ("a.txt", "[sic] is kept.\n", "lines"),
    ],
)
def test_the_format_is_told_by_the_content(tmp_path, name, content, fmt):
    imported = read(tmp_path, name, content)
    assert imported.format == fmt
    assert read(tmp_path, name, content, fmt).constitution == imported.constitution


def test_every_format_is_in_the_table_and_another_is_refused(tmp_path):
    assert FORMATS.names() == ["cai", "hf", "icai", "lines", "markdown", "rbr", "statements", "traits"]
    with pytest.raises(UsageError, match="unknown format"):
        read(tmp_path, "a.txt", "Be kind.", "cia")


def test_it_is_called_after_the_file_or_as_asked(tmp_path):
    one = read(tmp_path, "My Rules.txt", "Be kind.").constitution
    assert (one.id, one.title, one.version) == ("my-rules", "My Rules", "1.0.0")
    assert [change.version for change in one.changelog] == ["1.0.0"]
    one = read(tmp_path, "a.txt", "Be kind.", name="rules", title="The rules").constitution
    assert (one.id, one.title) == ("rules", "The rules")
    with pytest.raises(DataError, match="id"):
        read(tmp_path, "a.txt", "Be kind.", name="No Id")
    assert read(tmp_path, "\u89c4\u5219.txt", "Be kind.").constitution.id == "imported"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.txt", " \n", "empty"),
        ("a.json", "{\n1}", "not JSON"),
        ("a.yaml", "id: a\nversion: 1.0.0\nprinciples: []\n", "already"),
        ("a.txt", '[{"trait": "I am calm."', "not JSON"),
        ("a.json", "3", "object"),
        ("a.json", '{"a": "b", "a": "c"}', "twice"),
    ],
)
def test_what_is_no_constitution_of_others_is_refused(tmp_path, name, content, what):
    assert what in refused(tmp_path, name, content).what


def test_a_deeply_nested_or_binary_file_is_refused_in_words(tmp_path):
    refused(tmp_path, "deep.json", "[" * 100_000)
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        import_constitution(path)
