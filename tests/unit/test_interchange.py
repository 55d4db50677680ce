"""Preference data in the formats of others: what goes out comes back, and what cannot is counted by field."""

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alidade.errors import DataError, UsageError
from alidade.preferences import read_judgements
from alidade.preferences.interchange import FORMATS, Preferences, convert, read_preferences, write_preferences
from alidade.records import Candidates, Comparison, Completion, Conversation, Message, Prompt, Ranking, Vote

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
# What readers of texts leave as it is: no white space at the ends, no marker of turns.
PLAIN = TEXT.map(lambda text: f"a{text}b").filter(lambda text: "\n\n" not in text)
WHO = {
    "annotator": TEXT,
    "attribute": st.sampled_from(["helpful", "honest", "harmless", "overall"]),
    "guideline": TEXT | st.just(""),
    "source": st.sampled_from(["person", "constitution", "testbed", "file"]),
}
ACT = {
    "strength": st.none() | st.integers(1, 3),
    "seconds": st.none() | st.floats(0, 1e6),
    "at": st.none() | st.floats(-1e9, 1e10),
    "arm": st.sampled_from(["", "random", "uncertain", "gold"]),
}


def conversations(text, roles=("system", "user", "assistant")):
    before = st.lists(st.builds(Message, role=st.sampled_from(roles), text=text), max_size=2)
    return st.builds(lambda turns, last: Conversation(messages=(*turns, Message(role="user", text=last))), before, text)


def alternating(text):
    """A conversation in which user and assistant take turns, and the user has the last word."""
    return st.lists(text, min_size=1, max_size=3).map(
        lambda texts: Conversation(
            messages=tuple(
                Message(role="user" if (len(texts) - place) % 2 else "assistant", text=said)
                for place, said in enumerate(texts)
            )
        )
    )


@st.composite
def polls(draw, prompt):
    """Answers to prompts, each voted on, by annotators who vote once on a pair in an attribute."""
    candidates, votes = [], []
    for name in draw(st.lists(TEXT, min_size=1, max_size=2, unique=True)):
        answers = draw(st.lists(TEXT | st.just(""), min_size=2, max_size=3, unique=True))
        asked = Prompt(id=name, conversation=draw(prompt))
        candidates.append(Candidates(prompt=asked, answers=tuple(Completion(text=text) for text in answers)))
        for place in range(1, len(answers)):
            left, right = draw(st.permutations([0, place]))
            act = draw(st.fixed_dictionaries({**WHO, **ACT, "choice": st.sampled_from(["left", "right", "tie"])}))
            act["strength"] = None if act["choice"] == "tie" else act["strength"]
            votes.append(Vote(id=f"v{len(votes)}", prompt_id=name, left=left, right=right, **act))
    return Preferences(candidates=tuple(candidates), votes=tuple(votes))


def comparisons(prompt, text, label, **fields):
    sides = st.lists(text, min_size=2, max_size=2, unique=True)
    return st.builds(
        lambda answers, at, rest: Comparison(id=f"p/{at}", left=answers[0], right=answers[1], **rest),
        sides,
        st.integers(0, 10**9),
        st.fixed_dictionaries({"prompt": prompt, "label_prob": label, **fields}),
    )


def there_and_back(tmp_path, given_, to, ending=".jsonl", fmt="auto"):
    path = tmp_path / f"out{ending}"
    written = write_preferences(path, given_, to)
    return written, read_preferences(path, fmt)


@pytest.mark.parametrize(
    ("to", "ending"),
    [("crowd-kit", ".jsonl"), ("crowd-kit", ".csv"), ("crowd-kit", ".tsv"), ("potato", ".jsonl"), ("icai", ".json")],
)
def test_votes_come_back_as_they_were(tmp_path_factory, to, ending):
    folder = tmp_path_factory.mktemp("votes")

    @settings(deadline=None, max_examples=60)
    @given(polls(conversations(TEXT)))
    def holds(given_):
        written, back = there_and_back(folder, given_, to, ending)
        assert (back.candidates, back.votes) == (given_.candidates, given_.votes)
        assert not +written.left
        assert not written.refused

    holds()


def test_summaries_carry_every_vote_that_is_no_tie_on_a_prompt_of_one_turn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summaries")

    @settings(deadline=None, max_examples=60)
    @given(polls(st.builds(Conversation.ask, TEXT)))
    def holds(given_):
        kept = [vote for vote in given_.votes if vote.choice != "tie"]
        if not kept:
            return
        written, back = there_and_back(folder, given_, "summaries")
        assert list(back.votes) == kept
        assert written.refused.total() == len(given_.votes) - len(kept)

    holds()


def test_comparisons_come_back_from_trl_in_every_field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trl")
    fields = {**WHO, "shown": st.sampled_from(["left first", "right first", "unknown"])}
    margin = {"margin": st.none() | st.floats(0, 9)}
    rows = comparisons(conversations(TEXT), TEXT, st.floats(0, 1), **fields, **margin)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(rows, min_size=1, max_size=3, unique_by=lambda row: row.id))
    def holds(rows):
        written, back = there_and_back(folder, Preferences(comparisons=tuple(rows)), "trl")
        assert set(back.comparisons) == set(rows)
        assert not +written.left

    holds()


def test_comparisons_come_back_from_transcripts_in_what_those_can_say(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hh")

    @settings(deadline=None, max_examples=60)
    @given(comparisons(alternating(PLAIN), PLAIN, st.sampled_from([0.0, 1.0])))
    def holds(row):
        if row.prompt.messages[0].role != "user":
            row = row.model_copy(update={"prompt": Conversation(messages=row.prompt.messages[1:])})
        written, back = there_and_back(folder, Preferences(comparisons=(row,)), "hh", fmt="hh")
        (read,) = back.comparisons
        assert (read.prompt, read.chosen, read.rejected) == (row.prompt, row.chosen, row.rejected)
        assert set(+written.left) <= {"Comparison.id", "Comparison.left (stood right before)"}

    holds()


def rankings(**fields):
    return st.lists(PLAIN, min_size=2, max_size=4, unique=True).flatmap(
        lambda answers: st.builds(
            lambda ranks, **rest: Ranking(
                answers=tuple(answers), ranks=tuple(sorted(set(ranks)).index(rank) for rank in ranks), **rest
            ),
            st.lists(st.integers(0, 3), min_size=len(answers), max_size=len(answers)),
            id=TEXT.map(lambda name: f"p/{name}"),
            **fields,
        )
    )


def test_rankings_come_back_from_message_trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oasst")

    @settings(deadline=None, max_examples=60)
    @given(rankings(prompt=conversations(PLAIN, ("user", "assistant")), annotator=TEXT | st.just("")))
    def holds(row):
        written, back = there_and_back(folder, Preferences(rankings=(row,)), "oasst")
        assert back.rankings == (row,)
        assert not +written.left

    holds()


def test_rankings_over_all_and_by_aspect_share_a_row_of_ultrafeedback(tmp_path):
    asked = Conversation.ask("Why is the sky blue?")
    overall = Ranking(id="p/1", prompt=asked, answers=("air", "sea", "paint"), ranks=(0, 1, 1))
    honest = overall.model_copy(update={"attribute": "honest", "guideline": "truthfulness", "ranks": (0, 2, 1)})
    written, back = there_and_back(
        tmp_path, Preferences(rankings=(overall, honest)), "ultrafeedback", fmt="ultrafeedback"
    )
    assert len(written.rows) == 1
    fields = ("prompt", "answers", "ranks", "attribute", "guideline")
    assert [[getattr(row, name) for name in fields] for row in back.rankings] == [
        [getattr(row, name) for name in fields] for row in (overall, honest)
    ]
    assert +written.left == {"Ranking.id": 2}


def completion(score, *ratings, fine=None):
    aspects = dict(zip(("instruction_following", "honesty"), ratings, strict=False))
    one = {"response": f"answer {score} {ratings}", "overall_score": score}
    one["annotations"] = {aspect: {"Rating": str(rating), "Rationale": ""} for aspect, rating in aspects.items()}
    return one if fine is None else {**one, "fine-grained_score": fine}


def write_lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_ten_that_was_a_one_is_refused_and_does_no_harm_where_the_ratings_rank(tmp_path):
    flipped = [completion(10, 1, 2), completion(7, 4, 4)]
    path = write_lines(tmp_path / "a.jsonl", {"instruction": "q", "completions": flipped})
    with pytest.raises(DataError, match="overall_score of 10 contradicts"):
        read_judgements(path)
    ranked = [completion(10, 1, 2, fine=1.5), completion(7, 4, 4, fine=4.0)]
    path = write_lines(tmp_path / "b.jsonl", {"instruction": "q", "completions": ranked})
    assert read_judgements(path).rows[0].ranks == (1, 0)


def test_a_rating_of_na_leaves_its_aspect_out(tmp_path):
    given_ = [completion(8, 4, "N/A", fine=4.0), completion(6, 2, 3, fine=2.5)]
    path = write_lines(tmp_path / "a.jsonl", {"instruction": "q", "completions": given_})
    found = read_preferences(path, "ultrafeedback").rankings
    assert [(row.guideline, row.attribute, row.ranks) for row in found] == [
        ("", "overall", (0, 1)),
        ("instruction_following", "helpful", (0, 1)),
    ]


def node(name, role, text, *replies, **more):
    return {"message_id": name, "role": role, "text": text, "replies": list(replies), **more}


def test_every_ranked_level_of_a_message_tree_is_a_ranking(tmp_path):
    deeper = node(
        "u2", "prompter", "and then?", node("a3", "assistant", "x", rank=1), node("a4", "assistant", "y", rank=0)
    )
    tree = node(
        "u1",
        "prompter",
        "how?",
        node("a1", "assistant", "so", deeper, rank=0),
        node("a2", "assistant", "thus", rank=1),
        node("a0", "assistant", "spam", rank=2, deleted=True),
    )
    path = write_lines(tmp_path / "trees.jsonl", {"message_tree_id": "u1", "tree_state": "x", "prompt": tree})
    first, second = read_judgements(path).rows
    assert (first.answers, first.ranks) == (("so", "thus"), (0, 1))
    assert (second.answers, second.ranks) == (("x", "y"), (1, 0))
    assert [message.role for message in second.prompt.messages] == ["user", "assistant", "user"]


SUMMARY = {
    "info": {"id": "t3_1", "post": "I lost a key.", "title": "A key", "subreddit": "advice"},
    "summaries": [
        {"text": " key lost", "policy": "sup4", "note": "who?"},
        {"text": " he lost a key", "policy": "ref", "note": None},
    ],
    "choice": 1,
    "worker": "w1",
    "batch": "batch9",
    "split": "train",
    "extra": {"confidence": 8},
}


def test_a_published_row_of_summaries_comes_back_with_all_it_says(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", SUMMARY, {**SUMMARY, "worker": "w2", "choice": 0})
    read = read_preferences(path)
    assert [(vote.annotator, vote.choice, vote.left, vote.right) for vote in read.votes] == [
        ("w1", "right", 0, 1),
        ("w2", "left", 0, 1),
    ]
    assert read.candidates[0].prompt.conversation.last_user_text.startswith("SUBREDDIT: r/advice\n\nTITLE: A key")
    written, again = there_and_back(tmp_path, read, "summaries")
    assert again == read
    ours = {"vote", "answers"}
    published = [
        {**row, "extra": {key: value for key, value in row["extra"].items() if key not in ours}} for row in written.rows
    ]
    assert published == [SUMMARY, {**SUMMARY, "worker": "w2", "choice": 0}]
    assert [row.label_prob for row in read_judgements(path).rows] == [0.0, 1.0]


def test_what_stands_beside_a_vote_is_counted_where_the_next_format_has_no_place_for_it(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", SUMMARY)
    written = convert(path, tmp_path / "out.jsonl", "crowd-kit")
    assert written.left["beside: batch"] == 1
    assert written.left["Prompt.about"] == 1


ICAI = {
    "metadata": {"version": "2.0", "default_annotator": "h1"},
    "annotators": {
        "h1": {"name": "Ann", "description": "a person", "type": "human"},
        "p1": {"description": "Select the shorter answer", "type": "principle"},
    },
    "comparisons": [
        {
            "id": "c1",
            "prompt": "Hi?",
            "response_a": {"text": "Hello", "model": "m1"},
            "response_b": {"text": "Hello there", "model": "m2"},
            "annotations": {"h1": {"pref": "b"}, "p1": {"pref": "a"}},
            "metadata": {"topic": "small talk"},
        },
        {
            "id": "c2",
            "prompt": None,
            "response_a": {"text": "x"},
            "response_b": {"text": "y"},
            "annotations": {"h1": {"pref": "a"}, "p1": {"pref": None, "no_pref_reason": "not_applicable"}},
        },
    ],
}


def test_people_and_principles_of_annotated_pairs_are_annotators(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(ICAI, indent=1))
    read = read_preferences(path)
    assert [(vote.annotator, vote.source, vote.choice) for vote in read.votes] == [
        ("Ann", "person", "right"),
        ("Select the shorter answer", "constitution", "left"),
        ("Ann", "person", "left"),
    ]
    written, again = there_and_back(tmp_path, read, "icai", ".json")
    assert again == read
    document = written.rows[0]
    assert {who["type"] for who in document["annotators"].values()} == {"human", "principle"}
    assert document["comparisons"][0]["id"] == "c1"
    assert document["comparisons"][0]["response_a"] == {"text": "Hello", "model": "m1"}
    assert document["comparisons"][0]["metadata"]["topic"] == "small talk"


def test_annotated_pairs_of_an_older_version_are_refused(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {**ICAI, "metadata": {"version": "1.0"}})
    with pytest.raises(DataError, match="version 1.0"):
        read_preferences(path)


def test_a_table_in_crowd_kits_columns_alone_names_its_items(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("task,worker,left,right,label\nq1,w1,a,b,a\nq1,w2,b,c,c\nq1,w3,a,c,equal\n")
    read = read_preferences(path)
    assert [answer.text for answer in read.candidates[0].answers] == ["a", "b", "c"]
    assert [(vote.left, vote.right, vote.choice) for vote in read.votes] == [
        (0, 1, "left"),
        (1, 2, "right"),
        (0, 2, "tie"),
    ]


def test_lists_of_votes_in_a_row_are_votes_with_their_workers(tmp_path):
    row = {"prompt": "q", "response_left": "a", "response_right": "b", "votes": [[7, "tie"], [9, "right"]]}
    read = read_preferences(write_lines(tmp_path / "a.jsonl", row))
    assert [(vote.annotator, vote.choice) for vote in read.votes] == [("7", "tie"), ("9", "right")]


def test_a_label_that_is_neither_item_is_refused_with_its_row(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("task,worker,left,right,label\nq1,w1,a,b,a\nq1,w2,a,b,z\n")
    with pytest.raises(DataError, match="neither of the two items") as caught:
        read_preferences(path)
    assert "row 2" in caught.value.where


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (SUMMARY, {**SUMMARY, "choice": 2}),
        (SUMMARY, {**SUMMARY, "summaries": SUMMARY["summaries"][:1]}),
        (ICAI, {**ICAI, "comparisons": [{"id": "c"}]}),
        ({"worker": "w", "left": "a", "right": "b", "label": "a", "task": "q"}, {"worker": "w", "left": "a"}),
        (
            {"instance_id": "i", "user_id": "u", "labels": {}, "responses": ["a", "b"]},
            {"instance_id": "i", "user_id": "u", "labels": {"x": {"selection": "C"}}, "responses": ["a", "b"]},
        ),
    ],
)
def test_a_row_that_does_not_fit_is_an_error_at_its_line(tmp_path, good, bad):
    with pytest.raises(DataError) as caught:
        read_preferences(write_lines(tmp_path / "a.jsonl", good, bad))
    assert "a.jsonl:2" in caught.value.where
    assert caught.value.hint


def test_potatos_export_is_read_with_its_items_before_it(tmp_path):
    item = {"id": "i1", "prompt": "which?", "responses": ["this", "that"]}
    rows = [
        {"instance_id": "i1", "user_id": "u1", "labels": {"helpful": {"selection": "B"}}, "spans": {}, "links": {}},
        {"instance_id": "i1", "user_id": "u2", "labels": {"preference_scale": {"scale_value": "-2"}}},
    ]
    read = read_preferences(write_lines(tmp_path / "a.jsonl", item, *rows))
    assert [(vote.annotator, vote.choice, vote.attribute, vote.strength) for vote in read.votes] == [
        ("u1", "right", "helpful", None),
        ("u2", "left", "overall", 2),
    ]
    with pytest.raises(DataError, match="texts of this item"):
        read_preferences(write_lines(tmp_path / "b.jsonl", *rows))
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["instance_id", "user_id", "preference.selection", "prompt", "responses"])
        table.writerow(["i1", "u1", "A", "which?", json.dumps(["this", "that"])])
    assert read_preferences(path).votes[0].choice == "left"


def test_votes_leave_as_shares_with_how_many_and_whose_they_were(tmp_path):
    asked = Prompt(id="p1", conversation=Conversation.ask("q"))
    answers = (Completion(text="a"), Completion(text="b"), Completion(text="never seen"))
    vote = Vote(id="1", prompt_id="p1", annotator="ann", left=0, right=1, choice="left", strength=3)
    other = Vote(id="2", prompt_id="p1", annotator="bob", left=1, right=0, choice="left", strength=1)
    third = Vote(id="3", prompt_id="p1", annotator="cat", left=1, right=0, choice="right")
    given_ = Preferences(candidates=(Candidates(prompt=asked, answers=answers),), votes=(vote, other, third))
    written, back = there_and_back(tmp_path, given_, "trl")
    (row,) = written.rows
    assert (row["n_votes"], row["annotators"], row["strength"]) == (3, ["ann", "bob", "cat"], 1.0)
    assert row["label_prob"] == pytest.approx(2 / 3)
    assert back.comparisons[0].label_prob == pytest.approx(2 / 3)
    assert written.left["who voted what (kept are shares)"] == 3
    assert write_preferences(tmp_path / "votes.jsonl", given_, "crowd-kit").left["an answer nobody voted on"] == 1


def test_a_conversation_that_a_transcript_cannot_say_is_not_written(tmp_path):
    broken = Conversation.ask("look:\n\nHuman: hi")
    rows = tuple(
        Comparison(id=f"p/{place}", prompt=prompt, left="a", right="b", label_prob=1.0)
        for place, prompt in enumerate((broken, Conversation.ask("q", system="s"), Conversation.ask("fine: yes")))
    )
    written, back = there_and_back(tmp_path, Preferences(comparisons=rows), "hh", fmt="hh")
    assert written.refused.total() == 2
    assert [row.prompt for row in back.comparisons] == [rows[2].prompt]


def test_what_cannot_be_written_at_all_says_why(tmp_path):
    row = Comparison(id="p/1", prompt=Conversation.ask("q"), left="a", right="b", label_prob=0.5)
    with pytest.raises(DataError, match="nothing of this can be said"):
        write_preferences(tmp_path / "a.jsonl", Preferences(comparisons=(row,)), "hh")
    with pytest.raises(UsageError, match="no format 'tlr'") as caught:
        write_preferences(tmp_path / "a.jsonl", Preferences(comparisons=(row,)), "tlr")
    assert "trl" in caught.value.hint
    with pytest.raises(UsageError, match="written as JSON lines"):
        write_preferences(tmp_path / "a.csv", Preferences(comparisons=(row,)), "trl")


@pytest.mark.parametrize("to", [name for name, known in FORMATS.items() if known.write])
@pytest.mark.parametrize("kind", ["comparison", "ranking", "vote"])
def test_every_format_says_something_of_every_kind_of_record(tmp_path, to, kind):
    asked = Conversation.ask("What is tea?")
    if kind == "comparison":
        given_ = Preferences(comparisons=(Comparison(id="p/1", prompt=asked, left="a", right="b", label_prob=1.0),))
    elif kind == "ranking":
        given_ = Preferences(rankings=(Ranking(id="p/1", prompt=asked, answers=("a", "b"), ranks=(0, 1)),))
    else:
        answers = (Completion(text="a"), Completion(text="b"))
        vote = Vote(id="1", prompt_id="p", annotator="ann", left=0, right=1, choice="left")
        given_ = Preferences(
            candidates=(Candidates(prompt=Prompt(id="p", conversation=asked), answers=answers),), votes=(vote,)
        )
    _, back = there_and_back(tmp_path, given_, to, fmt=to if to in {"hh", "ultrafeedback"} else "auto")
    prompts = [
        *(row.prompt for row in (*back.comparisons, *back.rankings)),
        *(row.prompt.conversation for row in back.candidates),
    ]
    assert prompts == [asked]
