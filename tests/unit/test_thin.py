"""Less data of the same kind: parts of comparisons that are nested, and prompts that stay apart from others."""

import pytest

from alidade.errors import DataError
from alidade.pipeline import StageContext
from alidade.preferences import held_out, prompt_key
from alidade.records import Comparison, Conversation, Prompt, Ranking
from alidade.stages import testbed
from alidade.stages.judged import read_judged, write_split
from alidade.stages.kinds import COMPARISONS, PROMPTS
from alidade.stages.thin import ThinConfig, thin
from alidade.store import Artifact, read_json, read_rows, write_rows


def context(out):
    out.mkdir()
    return StageContext(seed=3, out=out, scratch=out)


@pytest.fixture
def comparisons(tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    rows = [
        Comparison(id=f"{n}/{k}", prompt=Conversation.ask(f"question {n}"), left="yes", right=f"no {k}", label_prob=1.0)
        for n in range(200)
        for k in range(3)
    ]
    write_rows(folder / "rows.jsonl", rows[:480])
    write_rows(folder / "heldout.jsonl", rows[480:])
    return Artifact(COMPARISONS.name, "", folder)


def kept(comparisons, out, **config):
    thin(ThinConfig(**config), {"comparisons": comparisons}, context(out))
    return read_rows(out / "rows.jsonl", Comparison)


def test_parts_are_nested_whole_prompts_and_about_as_large_as_asked(tmp_path, comparisons):
    parts = [kept(comparisons, tmp_path / str(share), share=share) for share in (0.0625, 0.25, 1.0)]
    sets = [{row.id for row in part} for part in parts]
    assert sets[0] < sets[1] < sets[2]
    assert len(sets[2]) == 480
    assert 5 * 3 <= len(sets[0]) <= 16 * 3
    assert all(sum(row.prompt == other.prompt for other in parts[1]) == 3 for row in parts[1])
    assert len(read_rows(tmp_path / "0.0625" / "heldout.jsonl", Comparison)) == 120
    counts = read_json(tmp_path / "0.25" / "counts.json")["rows"]
    assert counts["comparisons"] + counts["dropped"]["not in the share"] == 480


def test_rankings_are_thinned_with_the_comparisons_and_held_out_ones_stay(tmp_path):
    rows = [
        Ranking(id=f"{n}/0", prompt=Conversation.ask(f"question {n}"), answers=("a", "b", "c"), ranks=(0, 1, 2))
        for n in range(100)
    ]
    (folder := tmp_path / "all").mkdir()
    write_split(folder, rows[:80], rows[80:])
    assert kept(Artifact(COMPARISONS.name, "", folder), tmp_path / "part", share=0.25) == []
    train, heldout = read_judged(tmp_path / "part")
    assert len(train) == 20
    assert heldout == rows[80:]


def test_a_share_is_of_the_prompts_that_were_not_held_out_by_the_same_seed(tmp_path, comparisons):
    every = read_rows(comparisons.path / "rows.jsonl", Comparison)
    write_rows(comparisons.path / "rows.jsonl", [row for row in every if not held_out(prompt_key(row.prompt), 0.3, 0)])
    left = {row.prompt for row in read_rows(comparisons.path / "rows.jsonl", Comparison)}
    part = {row.prompt for row in kept(comparisons, tmp_path / "part", share=0.25)}
    assert len(part) == round(0.25 * len(left))


def test_another_seed_is_another_part(tmp_path, comparisons):
    one, other = (kept(comparisons, tmp_path / str(seed), share=0.25, seed=seed) for seed in (0, 1))
    assert {row.id for row in one} != {row.id for row in other}


def test_a_part_with_nothing_in_it_is_refused(tmp_path, comparisons):
    with pytest.raises(DataError, match="nothing is left of 480"):
        kept(comparisons, tmp_path / "none", share=1e-9)


def test_prompts_stay_apart_from_those_they_are_given(tmp_path):
    config = testbed.PromptsConfig(rows=300, heldout=40, mix={"fact": 1.0})
    testbed.testbed_prompts(config, {}, context(tmp_path / "free"))
    given = tmp_path / "given"
    given.mkdir()
    free = {name: read_rows(tmp_path / "free" / name, Prompt) for name in ("rows.jsonl", "heldout.jsonl")}
    write_rows(given / "rows.jsonl", free["rows.jsonl"][:50])
    write_rows(given / "heldout.jsonl", free["heldout.jsonl"][:5])
    testbed.testbed_prompts(config, {"apart": Artifact(PROMPTS.name, "", given)}, context(tmp_path / "apart"))
    taken = {row.conversation for row in [*free["rows.jsonl"][:50], *free["heldout.jsonl"][:5]]}
    for name, before in free.items():
        rows = read_rows(tmp_path / "apart" / name, Prompt)
        assert not taken & {row.conversation for row in rows}
        assert len(rows) < len(before)
    assert read_json(tmp_path / "apart" / "counts.json")["dropped"]["in the prompts to stay apart from"] >= 55
