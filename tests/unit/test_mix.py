"""Comparisons by principles and by people as one set."""

import pytest

from alidade.errors import DataError
from alidade.pipeline import StageContext
from alidade.records import Comparison, Conversation, Ranking
from alidade.stages.judged import read_judged, write_split
from alidade.stages.kinds import COMPARISONS
from alidade.stages.mix import MixConfig, mix
from alidade.store import Artifact, read_json


def comparison(source, number):
    text = f"question {number}"
    return Comparison(
        id=f"{source}-{number}", prompt=Conversation.ask(text), left="yes", right="no", label_prob=0.6, source=source
    )


def artifact(folder, rows, heldout):
    folder.mkdir()
    write_split(folder, rows, heldout)
    return Artifact(COMPARISONS.name, "", folder)


@pytest.fixture
def both(tmp_path):
    principles = artifact(
        tmp_path / "principles",
        [comparison("constitution", n) for n in range(60)],
        [comparison("constitution", n) for n in range(90, 95)],
    )
    ranking = Ranking(id="r", prompt=Conversation.ask("question 200"), answers=("a", "b", "c"), ranks=(0, 1, 2))
    people = artifact(
        tmp_path / "people",
        [*(comparison("person", n) for n in range(50, 92)), ranking],
        [comparison("person", n) for n in range(5)],
    )
    return {"principles": principles, "people": people}


def mixed(both, out, **config):
    out.mkdir()
    mix(MixConfig(**config), both, StageContext(seed=3, out=out, scratch=out))
    return read_judged(out)


def test_every_row_of_both_is_there_once_in_another_order_and_labels_stay(both, tmp_path):
    rows, heldout = mixed(both, tmp_path / "out")
    ids = [row.id for row in rows]
    assert len(ids) == len(set(ids)) == 55 + 40 + 1
    assert len(heldout) == 10
    sources = [row.source for row in rows if isinstance(row, Comparison)]
    assert sources not in (sorted(sources), sorted(sources, reverse=True))
    assert {row.label_prob for row in rows if isinstance(row, Comparison)} == {0.6}
    assert any(isinstance(row, Ranking) for row in rows)


def test_what_is_held_out_in_one_source_is_learned_from_in_neither(both, tmp_path):
    rows, heldout = mixed(both, tmp_path / "out")
    assert not {row.prompt for row in rows} & {row.prompt for row in heldout}
    assert read_json(tmp_path / "out" / "counts.json")["rows"]["dropped"]["held out in the other source"] == 7


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_the_share_of_people_is_kept_with_as_many_rows_as_there_can_be(both, tmp_path, share):
    rows, _ = mixed(both, tmp_path / "out", people_share=share)
    people = sum(isinstance(row, Ranking) or row.source == "person" for row in rows)
    assert people / len(rows) == pytest.approx(share, abs=0.5 / len(rows) + 1e-9)
    assert people == 41 or len(rows) - people == 55


def test_nothing_left_of_a_source_is_an_error(both, tmp_path):
    empty = artifact(tmp_path / "empty", [], [])
    with pytest.raises(DataError, match="one of the two sources"):
        mixed({**both, "people": empty}, tmp_path / "out")
