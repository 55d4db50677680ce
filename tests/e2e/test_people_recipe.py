"""From people's votes to a model they prefer, with a network small enough for a unit test."""

import json

import pytest
from tests.e2e.test_rlhf_recipe import (
    COLOURS,
    RECIPE,
    model_folder,  # noqa: F401  # a fixture
    questions,
)

from alidade.errors import DataError
from alidade.pipeline import StageContext, load_recipe, run
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.acts import Order, Pick
from alidade.preferences.votebook.casting import cast
from alidade.preferences.votebook.export import write_export
from alidade.preferences.votebook.leases import claim
from alidade.preferences.votebook.people import invite, join
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.records import Candidates, Comparison, Completion, Conversation, Prompt, RankingVote
from alidade.stages import load_all
from alidade.stages.people import AnswersFolderConfig, ExportsConfig, answers_folder, votes_folder
from alidade.store import Artifact, Store, read_json, read_rows

ANSWERS = ("No.", "Yes it is.", "Is it?")


@pytest.fixture
def exported(tmp_path):
    """What two people said of three answers each to forty questions: the second is best."""
    rows = [
        Candidates(
            prompt=Prompt(id=f"q{number}", conversation=Conversation.ask(asked)),
            answers=tuple(Completion(text=text) for text in ANSWERS),
        )
        for number, asked in enumerate(questions())
    ]
    book = open_votebook()
    people = [join(book, invite(book, "labeler"), name, "correct horse battery") for name in ("ada", "bob")]
    folders = []
    for task in ("pair", "ranking"):
        add_queue(book, QueueSettings(name=task, task=task, repeat_share=0, overlap_share=0), items_of(rows, task))
        for person in people * 60:
            if (lent := claim(book, person, task)) is not None:
                worth = [len(text) if text != ANSWERS[2] else 0 for text in lent.answers]
                ranks = tuple(sorted(worth, reverse=True).index(one) for one in worth)
                act = (
                    Order(ranks=ranks) if task == "ranking" else Pick(choice="left" if worth[0] > worth[1] else "right")
                )
                cast(book, person, lent.id, act, lent.id)
        folders.append(tmp_path / task)
        write_export(book, task, folders[-1])
    return folders


@pytest.mark.slow
def test_the_recipe_goes_from_an_export_to_a_policy_and_measures_on_prompts_kept_back(
    tmp_path,
    exported,
    model_folder,  # noqa: F811
):
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": asked}) + "\n" for asked in questions()))
    load_all()
    sets = [
        f"base.path={model_folder}",
        f"answers.folder={exported[0]}",
        f"votes.folder={exported[0]}",
        f"prompts.file={tmp_path / 'prompts.jsonl'}",
        "answers.heldout_share=0.3",
        "prompts.heldout_share=0.3",
        "prompts.answer_room=8",
        "reward.training.batching.rows=8",
        "rlhf.training.iterations=1",
        "rlhf.training.drawing.prompts=8",
        "rlhf.training.drawing.max_new_tokens=8",
        "evaluation.max_new_tokens=8",
        "evaluation.prompts=10",
    ]
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE.with_name("people.yaml"), sets), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    kept = [read_rows(places["comparisons"] / f"{name}.jsonl", Comparison) for name in ("rows", "heldout")]
    assert all(len(rows) > 10 for rows in kept)
    assert {voter["annotator"] for voter in read_json(places["comparisons"] / "annotators.json")["annotators"]} == {
        "ada",
        "bob",
    }
    summary = read_json(places["evaluation"] / "summary.json")
    assert summary["models"].keys() == {"base", "policy"}
    assert summary["reward_model"]["comparisons"] == len(kept[1])


def test_exports_are_read_together_and_what_both_hold_counts_once(tmp_path, exported):
    (tmp_path / "answers").mkdir()
    (tmp_path / "votes").mkdir()
    answers_folder(
        AnswersFolderConfig(folder=exported), {}, StageContext(seed=0, out=tmp_path / "answers", scratch=tmp_path)
    )
    rows = read_rows(tmp_path / "answers" / "rows.jsonl", Candidates)
    assert 30 <= len(rows) < len(COLOURS) * 5
    inputs = {"answers": Artifact("answers", "0", tmp_path / "answers")}
    context = StageContext(seed=0, out=tmp_path / "votes", scratch=tmp_path)
    votes_folder(ExportsConfig(folder=[*exported, exported[0]]), inputs, context)
    assert context.notes == {"votes": len((exported[0] / "rows.jsonl").read_text().splitlines()) + 40, "annotators": 2}
    assert len(read_rows(tmp_path / "votes" / "rankings.jsonl", RankingVote)) == 40


def test_exports_about_different_answers_are_told_apart_and_one_without_votes_is_refused(tmp_path, exported):
    other = tmp_path / "other"
    other.mkdir()
    for path in exported[0].iterdir():
        (other / path.name).write_text(path.read_text().replace("Yes it is.", "Oh yes."))
    context = StageContext(seed=0, out=tmp_path, scratch=tmp_path)
    with pytest.raises(DataError, match="has other answers here"):
        answers_folder(AnswersFolderConfig(folder=[exported[0], other]), {}, context)
    (other / "rows.jsonl").write_text("")
    answers_folder(AnswersFolderConfig(folder=[other]), {}, context)
    with pytest.raises(DataError, match="nobody has voted"):
        votes_folder(ExportsConfig(folder=[other]), {"answers": Artifact("answers", "0", tmp_path)}, context)
