"""Simulated annotators at work in a votebook, and people beside them."""

import json

import pytest
from tests.unit.test_label_command import run

from alidade.pipeline import StageContext
from alidade.preferences.collected import votes_in
from alidade.preferences.tally import pair_of
from alidade.records import Candidates, Completion, RankingVote, Vote
from alidade.seeds import generator
from alidade.stages import testbed_votes as stage
from alidade.stages.testbed_votes import VotesConfig
from alidade.store import Artifact, Store, read_json, read_rows, write_rows
from alidade.testbed.annotators import POOL
from alidade.testbed.demonstrations import Care, demonstrated_answer
from alidade.testbed.questions import training_prompts
from alidade.testbed.world import world

CARELESS = Care(complete=0.4, refused=0.4, honest=0.4, corrected=0.4, balanced=0.4)


def candidates(count, name):
    rng = generator(0, name)
    return [
        Candidates(
            prompt=prompt,
            answers=tuple(
                Completion(text=demonstrated_answer(world(), prompt, CARELESS, rng)) for _ in range(3)
            ),
        )
        for prompt in training_prompts(count, {"topic": 1.0, "wish": 1.0, "unanswerable": 1.0}, 0, name)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    write_rows(folder / "rows.jsonl", candidates(40, "prompt"))
    write_rows(folder / "heldout.jsonl", candidates(6, "heldout"))
    return Artifact("answers", "0", folder)


def voted(answers, out, **settings):
    out.mkdir(parents=True)
    context = StageContext(seed=0, out=out, scratch=out)
    stage.testbed_votes(VotesConfig(**settings), {"answers": answers}, context)
    return context


def by_item(votes, gold=()):
    found = {}
    for vote in votes:
        found.setdefault(pair_of(vote), set()).add(vote.annotator)
    return found


def test_every_pair_gets_the_votes_it_wants_and_held_out_ones_those_of_the_overlap(answers, tmp_path):
    voted(answers, tmp_path / "out", votes_per_item=2, overlap_votes=4, overlap_share=0.25, gold=5)
    votes = read_rows(tmp_path / "out" / "rows.jsonl", Vote)
    sizes = {pair: len(names) for pair, names in by_item(votes).items()}
    assert {size for pair, size in sizes.items() if pair.prompt_id.startswith("heldout")} == {4}
    ours = [size for pair, size in sizes.items() if not pair.prompt_id.startswith("heldout")]
    assert set(ours) == {2, 4}
    assert 0.1 < ours.count(4) / len(ours) < 0.4
    assert {(vote.source, vote.attribute) for vote in votes} == {("testbed", "overall")}
    assert len({vote.id for vote in votes}) == len(votes)
    assert {vote.annotator for vote in votes} == {annotator.name for annotator in POOL}


def test_gold_and_repeats_check_annotators_and_are_no_labels(answers, tmp_path):
    out = tmp_path / "out"
    voted(answers, out, gold=8, gold_share=0.2, repeat_share=0.1)
    gold = {(one["prompt_id"], one["left"], one["right"]): one["choice"] for one in read_json(out / "gold.json")}
    checks, repeats, votes = (read_rows(out / f"{name}.jsonl", Vote) for name in ("checks", "repeats", "rows"))
    assert len(gold) == 8
    assert {pair_of(vote)[:3] for vote in checks} <= gold.keys()
    assert not gold.keys() & {pair_of(vote)[:3] for vote in votes}
    right = [
        gold[pair_of(vote)[:3]]
        == (vote.choice if vote.left < vote.right else {"left": "right", "right": "left"}.get(vote.choice))
        for vote in checks
    ]
    assert sum(right) / len(right) > 0.8
    assert {(pair_of(vote), vote.annotator) for vote in repeats} <= {(pair_of(vote), vote.annotator) for vote in votes}


def test_rankings_hold_every_answer_in_one_attribute_and_equal_seeds_give_equal_bytes(answers, tmp_path):
    for name in ("one", "two"):
        voted(answers, tmp_path / name, task="ranking", attribute="harmless")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert [(tmp_path / "one" / name).read_bytes() for name in files] == [
        (tmp_path / "two" / name).read_bytes() for name in files
    ]
    found = votes_in(tmp_path / "one")
    assert not found.votes
    assert {ranking.attribute for ranking in found.rankings} == {"harmless"}
    assert {len(ranking.shown) for ranking in found.rankings} <= {2, 3}


def test_a_run_s_queue_asks_what_its_annotators_were_asked_and_people_s_votes_enter_the_next_run(
    answers, tmp_path, capsys
):
    from alidade.cli.label import _answers, _settings, book_at
    from alidade.preferences.votebook.acts import Order
    from alidade.preferences.votebook.casting import cast
    from alidade.preferences.votebook.leases import claim
    from alidade.preferences.votebook.people import invite, join
    from alidade.preferences.votebook.queues import add_queue, items_of

    place = tmp_path / "tour"
    store, inputs = Store(place / "store"), {}
    common = {"version": 1, "asked": {}, "seed": 0}
    with store.lock():
        draft = store.draft("0" * 64)
        for name in ("rows.jsonl", "heldout.jsonl"):
            (draft / name).write_bytes((answers.path / name).read_bytes())
        about = {"kind": "answers", "key": "0" * 64, "name": "answers", "stage": "sample", "config": {}, "inputs": {}}
        made = store.commit(draft, about | common)
        inputs["answers"] = {"kind": "answers", "digest": made.digest, "from": "answers"}
        draft = store.draft("1" * 64)
        (draft / "rows.jsonl").write_text("")
        config = VotesConfig(task="ranking", votes_per_item=2).model_dump(mode="json")
        about = {"kind": "votes", "key": "1" * 64, "name": "votes", "stage": "testbed-votes", "config": config}
        store.commit(draft, about | common | {"inputs": inputs})
    rows, usual = _answers(str(place))
    wanted = _settings("tour", ["gold_share=0", "repeat_share=0"], usual)
    assert (wanted.task, wanted.votes_per_item) == ("ranking", 2)
    book = book_at(str(place))
    add_queue(book, wanted, items_of(rows, wanted.task))
    ada = join(book, invite(book, "labeler"), "ada", "correct horse battery")
    for _ in range(3):
        task = claim(book, ada, "tour")
        cast(book, ada, task.id, Order(ranks=tuple(range(len(task.answers)))), task.id)
    book.close()
    assert run("label", "export", place, tmp_path / "mine") == 0
    context = voted(answers, tmp_path / "out", task="ranking", people=[str(tmp_path / "mine")])
    assert context.notes == {"votes of people": 3}
    found = read_rows(tmp_path / "out" / "rankings.jsonl", RankingVote)
    assert [(one.annotator, one.source) for one in found[-3:]] == [("ada", "person")] * 3
    assert json.loads((tmp_path / "out" / "annotators.json").read_text())["people"] == ["ada"]
