import json
from pathlib import Path

import pytest
from tests.unit.test_reward_model import model

from alidade.errors import DataError, RecipeError, UsageError
from alidade.pipeline import StageContext, Upstream, load_recipe, run
from alidade.preferences.belief import Voters
from alidade.records import (
    Candidates,
    Comparison,
    Completion,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    RankingVote,
    Scores,
    Vote,
)
from alidade.stages import files, score, tally
from alidade.store import Artifact, Store, read_json, read_rows, write_rows
from alidade.training.reward_model import load_reward_model, new_reward_model, save_reward_model, score_answers

RECIPE = """
name: files
stages:
  demonstrations: {use: demonstrations-file, with: {file: DEMOS}}
  comparisons: {use: comparisons-file, with: {file: [PAIRS, MORE]}}
  prompts: {use: prompts-file, with: {file: PAIRS}}
  feedback: {use: feedback-file, with: {file: [THUMBS, PAIRS]}}
"""


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def recipe(tmp_path) -> Path:
    demos = jsonl(tmp_path / "demos.jsonl", [{"prompt": f"q {n}", "completion": f"a {n}"} for n in range(60)])
    pairs = jsonl(tmp_path / "pairs.jsonl", [{"prompt": f"Q {n}!", "chosen": "a", "rejected": "b"} for n in range(60)])
    more = jsonl(tmp_path / "more.jsonl", [{"prompt": f"Q {n}!", "chosen": "c", "rejected": "d"} for n in range(20)])
    thumbs = jsonl(
        tmp_path / "thumbs.jsonl", [{"prompt": f"q {n}?", "completion": "a", "label": n > 9} for n in range(60)]
    )
    text = (
        RECIPE.replace("THUMBS", str(thumbs))
        .replace("DEMOS", str(demos))
        .replace("PAIRS", str(pairs))
        .replace("MORE", str(more))
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def run_it(recipe: Path, tmp_path: Path, *sets: str):
    loaded = load_recipe(recipe, sets)
    store = Store(tmp_path / "store")
    done = run(loaded, store, out=tmp_path / "run")
    return {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}


def test_what_is_held_out_in_one_stage_is_trained_on_in_none(recipe, tmp_path):
    places = run_it(
        recipe,
        tmp_path,
        *[f"{name}.heldout_share=0.3" for name in ("demonstrations", "comparisons", "prompts", "feedback")],
    )
    kinds = {
        "demonstrations": Demonstration,
        "comparisons": Comparison,
        "prompts": Prompt,
        "feedback": Feedback,
    }
    learned, kept_back = set(), set()
    for name, kind in kinds.items():
        for file, side in (("rows.jsonl", learned), ("heldout.jsonl", kept_back)):
            for row in read_rows(places[name] / file, kind):
                asked = row.conversation if isinstance(row, Prompt) else row.prompt
                side.add(asked.last_user_text.lower().strip("!?"))
    assert len(kept_back) > 5
    assert not learned & kept_back
    assert len(learned | kept_back) == 60


def test_pairs_of_one_prompt_from_two_files_stand_together(recipe, tmp_path):
    rows = read_rows(run_it(recipe, tmp_path)["comparisons"] / "rows.jsonl", Comparison)
    prompts = [row.prompt.last_user_text for row in rows]
    assert len(rows) > len(set(prompts))
    assert len([1 for before, after in zip(["", *prompts], prompts, strict=False) if before != after]) == len(
        set(prompts)
    )


def test_counts_say_what_was_read_kept_and_left_out(recipe, tmp_path):
    counts = read_json(run_it(recipe, tmp_path, "comparisons.limit=50")["comparisons"] / "counts.json")
    assert counts["rows"] + counts["heldout"] + counts["dropped"]["over the limit"] == 80
    assert [file["name"] for file in counts["files"]] == ["pairs.jsonl", "more.jsonl"]
    assert [file["rows_read"] for file in counts["files"]] == [60, 20]


def test_thumbs_and_comparisons_are_feedback_of_one_kind(recipe, tmp_path):
    place = run_it(recipe, tmp_path)["feedback"]
    rows = [row for file in ("rows.jsonl", "heldout.jsonl") for row in read_rows(place / file, Feedback)]
    assert len(rows) == len({row.id for row in rows}) == 60 + 2 * 60
    assert sum(row.label_prob for row in rows) == 50 + 60
    assert [file["format"] for file in read_json(place / "counts.json")["files"]] == ["unpaired", "preference"]


def test_a_bad_row_stops_the_recipe_before_anything_is_written(recipe, tmp_path):
    with (tmp_path / "more.jsonl").open("a") as file:
        file.write('{"prompt": "q", "chosen": "a", "rejected": "a"}\n')
    with pytest.raises(DataError) as caught:
        run_it(recipe, tmp_path)
    assert f"{tmp_path / 'more.jsonl'}:21" in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "store").exists()


def test_a_missing_file_stops_the_recipe_before_anything_is_written(recipe, tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.jsonl"):
        run_it(recipe, tmp_path, "prompts.file=nowhere.jsonl")
    assert not (tmp_path / "store").exists()


def said(text: str) -> Completion:
    return Completion(text=text)


@pytest.fixture
def polled(tmp_path) -> dict[str, Artifact]:
    def candidates(name: str) -> Candidates:
        prompt = Prompt(id=name, conversation=Conversation.ask(name))
        return Candidates(prompt=prompt, answers=tuple(map(said, "ab")))

    answers, votes = tmp_path / "answers", tmp_path / "votes"
    for folder in (answers, votes, tmp_path / "out"):
        folder.mkdir()
    write_rows(answers / "rows.jsonl", [candidates("p"), candidates("q")])
    write_rows(answers / "heldout.jsonl", [candidates("h")])
    cast = [
        Vote(id=n, prompt_id=n, left=0, right=1, choice=c, annotator="w")
        for n, c in (("p", "left"), ("q", "tie"), ("h", "right"))
    ]
    write_rows(votes / "rows.jsonl", cast)
    return {"answers": Artifact("answers", "0", answers), "votes": Artifact("votes", "0", votes)}


def test_the_tally_stage_keeps_held_out_answers_held_out(tmp_path, polled):
    out = tmp_path / "out"
    tally.tally(tally.TallyConfig(), polled, StageContext(seed=0, out=out, scratch=tmp_path))
    assert [(row.id, row.label_prob) for row in read_rows(out / "rows.jsonl", Comparison)] == [("p/0-1", 1.0)]
    assert [(row.id, row.label_prob) for row in read_rows(out / "heldout.jsonl", Comparison)] == [("h/0-1", 0.0)]
    assert read_json(out / "counts.json")["rows"]["dropped"] == {"every vote a tie": 1}
    assert not (out / "annotators.json").exists()


def test_the_tally_stage_can_ask_who_voted_and_measures_by_the_votes_themselves(tmp_path, polled):
    out = tmp_path / "out"
    config = tally.TallyConfig(labels="annotators", ties="keep")
    tally.tally(config, polled, StageContext(seed=0, out=out, scratch=tmp_path))
    believed = {row.id: row for row in read_rows(out / "rows.jsonl", Comparison)}
    assert 0.5 < believed["p/0-1"].label_prob < 1.0
    assert believed["q/0-1"].tie_prob == pytest.approx(1.0, abs=0.2)
    assert [row.label_prob for row in read_rows(out / "heldout.jsonl", Comparison)] == [0.0]
    voters = Voters.model_validate(read_json(out / "annotators.json"))
    (annotator,) = voters.annotators
    assert (annotator.annotator, annotator.attention.n, annotator.side_bias.n) == ("w", 2, 2)
    assert voters.pool_side_bias.n == 2
    assert read_json(out / "counts.json").keys() == {"rows", "heldout"}


def test_a_ranking_is_a_vote_on_each_pair_it_tells_apart(tmp_path, polled):
    three = [Candidates(prompt=Prompt(id="r", conversation=Conversation.ask("r")), answers=tuple(map(said, "xyz")))]
    write_rows(polled["answers"].path / "rows.jsonl", three)
    ranked = [
        RankingVote(id=str(n), prompt_id="r", shown=(2, 0, 1), ranks=(1, 0, 1), annotator=f"w{n}") for n in (0, 1)
    ]
    write_rows(polled["votes"].path / "rows.jsonl", [])
    write_rows(polled["votes"].path / "rankings.jsonl", ranked)
    out = tmp_path / "out"
    tally.tally(tally.TallyConfig(ties="keep"), polled, StageContext(seed=0, out=out, scratch=tmp_path))
    labels = {row.id: row.label_prob for row in read_rows(out / "rows.jsonl", Comparison)}
    assert labels == {"r/0-1": 1.0, "r/0-2": 1.0}
    assert read_json(out / "counts.json")["rows"] | {"dropped": 0} == {
        "comparisons": 2, "prompts": 1, "votes": 0, "rankings": 2, "dropped": 0,
    }  # fmt: skip


def test_scores_help_where_annotators_are_fitted_and_are_refused_elsewhere(tmp_path, polled):
    scores = tmp_path / "scores"
    scores.mkdir()
    write_rows(scores / "rows.jsonl", [Scores(prompt_id=name, scores=(0.0, 3.0)) for name in ("p", "q", "h")])
    inputs = polled | {"scores": Artifact("scores", "0", scores)}
    labels = []
    for given in (polled, inputs):
        config = tally.TallyConfig(labels="annotators", ties="keep")
        tally.tally(config, given, StageContext(seed=0, out=tmp_path / "out", scratch=tmp_path))
        labels.append([row.label_prob for row in read_rows(tmp_path / "out" / "rows.jsonl", Comparison)])
    assert all(helped < alone for alone, helped in zip(*labels, strict=True))
    upstream = Upstream("scores", tally.TallyConfig(), {})
    with pytest.raises(UsageError, match="labels are shares"):
        tally.check_scores(tally.TallyConfig(), {"scores": upstream})


def test_the_score_stage_gives_each_answer_a_number(tmp_path, polled):
    reward = new_reward_model(model(), 0)
    save_reward_model(reward, tmp_path / "reward")
    inputs = {"reward": Artifact("reward-model", "0", tmp_path / "reward"), "answers": polled["answers"]}
    score.score(score.ScoreConfig(), inputs, StageContext(seed=0, out=tmp_path / "out", scratch=tmp_path))
    rows = read_rows(tmp_path / "out" / "rows.jsonl", Scores)
    assert [(row.prompt_id, len(row.scores)) for row in rows] == [("p", 2), ("q", 2), ("h", 2)]
    asked = [(Conversation.ask("q"), text) for text in "ab"]
    assert list(rows[1].scores) == pytest.approx(score_answers(load_reward_model(tmp_path / "reward"), asked), abs=2e-2)


class CharacterRenderer:
    """Counts a token per character and one for the stop token."""

    def prompt(self, conversation: Conversation) -> list[int]:
        return [0] * sum(len(message.text) for message in conversation.messages)

    def answer(self, conversation: Conversation, text: str) -> list[int]:
        return [0] * (len(text) + 1)


RULER = files.Ruler(CharacterRenderer(), context_length=20)


def gathered(tmp_path: Path, lengths: list[int], **options):
    path = jsonl(
        tmp_path / "rows.jsonl", [{"prompt": "q" * 9, "completion": "a" * (length - 10)} for length in lengths]
    )
    config = files.FilesConfig(file=[path], **options)
    return files._gather(config, files.read_demonstrations, RULER)


def test_records_longer_than_the_context_are_an_error_that_names_the_first(tmp_path):
    with pytest.raises(DataError) as caught:
        gathered(tmp_path, [20, 21, 25])
    assert "2 of 3 records have over 20 tokens, the longest 25" in str(caught.value)
    assert "rows:2" in str(caught.value)
    assert "max_tokens to 20" in str(caught.value)


def test_records_longer_than_the_user_asks_for_are_left_out_and_counted(tmp_path):
    found = gathered(tmp_path, [15, 16, 20, 21], max_tokens=15)
    assert len(found.rows) == 1
    assert found.dropped == {"longer than max_tokens": 3}


def test_a_share_of_records_longer_than_the_context_can_be_allowed(tmp_path):
    found = gathered(tmp_path, [15, 21], allow_dropped=0.5)
    assert len(found.rows) == 1
    assert found.dropped == {"longer than the model's context": 1}


def test_prompts_leave_room_for_their_answer(tmp_path):
    path = jsonl(tmp_path / "rows.jsonl", [{"prompt": "q" * 12}, {"prompt": "q" * 13}])
    config = files.PromptFilesConfig(file=[path], answer_room=8)
    with pytest.raises(DataError, match="1 of 2 records have over 12 tokens"):
        files._gather(config, files.read_prompts, RULER)
