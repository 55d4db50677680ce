"""Lineage: from a thing up to what made it."""

from pathlib import Path

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.errors import UsageError
from alidade.pipeline import explain, load_recipe, resolve, run, walk_up
from alidade.pipeline.lineage import sources
from alidade.store import Store

PAIRS = """\
  votes: {use: toy-votes, with: {rows: 4}}
  pairs: {use: toy-pairs, in: {votes: votes}, with: {rows: 2}}
"""


def store_of(folder: Path, stages: str, *sets: str) -> Store:
    store = Store(folder / "store")
    run(load_recipe(write_recipe(folder, stages), sets), store)
    return store


def test_an_artifact_is_found_by_stage_digest_key_and_prefix(tmp_path: Path) -> None:
    store = store_of(tmp_path, SUM)
    made = resolve(store, "sum")
    assert resolve(store, made.digest) == resolve(store, made.key[:8]) == resolve(store, made.digest[:8]) == made


def test_a_stage_name_means_its_newest_artifact(tmp_path: Path) -> None:
    store = store_of(tmp_path, SUM)
    old = resolve(store, "one")
    store_of(tmp_path, SUM, "one.value=8")
    assert resolve(store, "one").config["value"] == 8
    assert resolve(store, old.digest[:8]) == old


def test_a_stage_name_means_what_the_last_run_reused(tmp_path: Path) -> None:
    """Made newest is not used last: who goes back to an earlier setting is told of that one."""

    def again(*sets: str) -> Store:
        store = Store(tmp_path / "store")
        run(load_recipe(write_recipe(tmp_path, SUM), sets), store, out=tmp_path)
        return store

    again("one.value=7")
    again("one.value=8")
    assert resolve(again("one.value=7"), "one").config["value"] == 7
    interrupted = store_of(tmp_path, SUM, "one.value=9")  # it left no record of a run
    assert resolve(interrupted, "one").config["value"] == 9


def test_an_unknown_name_offers_the_nearest(tmp_path: Path) -> None:
    store = store_of(tmp_path, SUM)
    with pytest.raises(UsageError) as caught:
        resolve(store, "smu")
    assert caught.value.what == "nothing here is called `smu`"
    assert caught.value.hint == "did you mean `sum`? (or a digest, or a row's id)"


@pytest.mark.parametrize("asked", ["", "a", "abc"])
def test_a_prefix_that_says_too_little_is_refused(tmp_path: Path, asked: str) -> None:
    with pytest.raises(UsageError):
        resolve(store_of(tmp_path, SUM), asked)


def test_the_way_up_ends_at_the_sources(tmp_path: Path) -> None:
    store = store_of(tmp_path, SUM)
    step = walk_up(store, resolve(store, "sum"))
    assert {name: above.manifest.name for name, above in step.inputs.items()} == {"left": "one", "right": "two"}
    assert [manifest.name for manifest in sources([step])] == ["one", "two"]


def test_a_row_is_explained_by_the_rows_it_came_from(tmp_path: Path) -> None:
    found = explain(store_of(tmp_path, PAIRS), "p1/0-1")
    assert [(row.manifest.name, row.file, row.line, row.row["id"]) for row in found.rows] == [
        ("votes", "rows.jsonl", 2, "v1"),
        ("votes", "rows.jsonl", 4, "v3"),
        ("pairs", "rows.jsonl", 2, "p1/0-1"),
    ]
    assert [step.manifest.name for step in found.steps] == ["pairs"]
    assert found.steps[0].inputs["votes"].manifest.name == "votes"


def test_a_prompt_is_explained_by_what_was_made_of_it(tmp_path: Path) -> None:
    found = explain(store_of(tmp_path, PAIRS), "p0")
    assert [row.row["id"] for row in found.rows] == ["v0", "v2", "p0/0-1"]


def test_rows_of_the_same_name_in_unrelated_artifacts_are_left_out(tmp_path: Path) -> None:
    stages = PAIRS + "  apart: {use: toy-votes, with: {rows: 6}}\n"
    found = explain(store_of(tmp_path, stages), "p1/0-1")
    assert {row.manifest.name for row in found.rows} == {"votes", "pairs"}
    assert [step.manifest.name for step in found.steps] == ["pairs"]


def test_a_row_of_two_artifacts_is_explained_in_both(tmp_path: Path) -> None:
    stages = PAIRS + "  apart: {use: toy-votes, with: {rows: 6}}\n"
    found = explain(store_of(tmp_path, stages), "v1")
    assert [row.manifest.name for row in found.rows] == ["votes", "apart"]
    assert [step.manifest.name for step in found.steps] == ["votes", "apart"]


def test_a_row_nobody_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing here is called `p77`"):
        explain(store_of(tmp_path, PAIRS), "p77")


def test_a_stage_is_explained_without_rows(tmp_path: Path) -> None:
    found = explain(store_of(tmp_path, PAIRS), "pairs")
    assert found.rows == ()
    assert [step.manifest.name for step in found.steps] == ["pairs"]
