"""The plan: reuse what is unchanged, and say in words why the rest runs."""

from pathlib import Path

import pytest
from tests import toy_stages
from tests.toy_stages import SUM, AddConfig, write_recipe

from alidade.errors import DataError
from alidade.pipeline import check_stages, load_recipe, plan, run, stage
from alidade.pipeline.plan import key_of
from alidade.pipeline.source_digest import source_digest
from alidade.store import Store


def planned(folder: Path, *sets: str, stages: str = SUM) -> list[str]:
    return [str(one) for one in plan(load_recipe(write_recipe(folder, stages), sets), Store(folder / "store"))]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    run(load_recipe(write_recipe(tmp_path, SUM)), Store(tmp_path / "store"))
    return tmp_path


def test_nothing_is_written_by_planning(tmp_path: Path) -> None:
    assert planned(tmp_path) == ["one: run - never made", "two: run - never made", "sum: run - never made"]
    assert not (tmp_path / "store").exists()


def test_an_unchanged_recipe_is_reused(made: Path) -> None:
    assert planned(made) == ["one: reuse - unchanged", "two: reuse - unchanged", "sum: reuse - unchanged"]


def test_a_changed_value_is_named_with_what_it_was(made: Path) -> None:
    assert planned(made, "one.value=1e-5") == [
        "one: run - config `value` 2.0 -> 1e-05",
        "two: reuse - unchanged",
        "sum: run - input `left` will be made anew",
    ]


def test_an_inert_value_changes_nothing(made: Path) -> None:
    assert planned(made, "one.log_every=1")[0] == "one: reuse - unchanged"


def test_another_seed_is_a_reason(made: Path) -> None:
    assert planned(made, "seed=1")[1] == "two: run - seed changed"


def test_another_input_is_named_by_digest(made: Path) -> None:
    two = plan(load_recipe(made / "toy.yaml"), Store(made / "store"))[1].digest
    one = plan(load_recipe(made / "toy.yaml"), Store(made / "store"))[0].digest
    assert one is not None
    assert two is not None
    assert planned(made, "stages.sum.in.left=two")[2] == f"sum: run - input `left` changed {one[:6]}.. -> {two[:6]}.."


def test_an_added_input_is_named(made: Path) -> None:
    assert "input `more` changed none -> " in planned(made, "stages.sum.in.more=two")[2]


def test_another_version_is_a_reason(made: Path) -> None:
    old = toy_stages.number
    try:
        stage("toy-number", version=2, reads={}, writes=toy_stages.NUMBER, config=toy_stages.NumberConfig)(old)
        assert planned(made)[0] == "one: run - version 1 -> 2"
    finally:
        stage("toy-number", version=1, reads={}, writes=toy_stages.NUMBER, config=toy_stages.NumberConfig)(old)


def test_another_stage_under_the_same_name_is_a_reason(made: Path) -> None:
    stages = SUM.replace("one: {use: toy-number, with: {value: 2}}", "one: {use: toy-chance}")
    assert planned(made, stages=stages)[0] == (
        "one: run - stage `toy-number` -> `toy-chance`; config `factor` absent -> 1.0; config `value` 2.0 -> absent"
    )


def test_a_lost_artifact_is_a_reason(made: Path) -> None:
    store = Store(made / "store")
    store.remove(store.manifests()[0].digest)
    assert planned(made)[0] == "one: run - its artifact is no longer in the store"


def test_a_changed_file_is_named_by_its_content(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    stages = f"  a: {{use: toy-file, with: {{files: [{text}]}}}}\n"
    text.write_text("one")
    run(load_recipe(write_recipe(tmp_path, stages)), Store(tmp_path / "store"))
    text.write_text("three")
    (line,) = planned(tmp_path, stages=stages)
    assert line.startswith('a: run - config `files` [{"content": ')


def test_a_stage_that_was_made_differently_before_may_be_reused(made: Path) -> None:
    run(load_recipe(made / "toy.yaml", ["one.value=7"]), Store(made / "store"))
    assert planned(made) == ["one: reuse - unchanged", "two: reuse - unchanged", "sum: reuse - unchanged"]


def test_only_stages_that_will_run_are_checked(made: Path) -> None:
    def refuse(config, inputs) -> None:
        raise DataError("refused")

    def checked(*sets: str) -> None:
        recipe = load_recipe(made / "toy.yaml", sets)
        check_stages(recipe, plan(recipe, Store(made / "store")))

    kept = {"version": 1, "reads": {}, "writes": toy_stages.NUMBER, "config": toy_stages.NumberConfig}
    try:
        stage("toy-number", **kept, check=refuse)(toy_stages.number)
        checked("sum.factor=2")
        with pytest.raises(DataError, match="refused\n  at stage `two`"):
            checked("two.value=9")
    finally:
        stage("toy-number", **kept)(toy_stages.number)


def test_changed_code_without_a_new_version_is_warned_of(made: Path) -> None:
    store = Store(made / "store")
    path = next(path for path in (made / "store" / "made").iterdir() if '"name": "one"' in path.read_text())
    path.write_text(path.read_text().replace(source_digest(toy_stages.number), "0" * 64))
    first, second, _ = plan(load_recipe(made / "toy.yaml"), store)
    assert first.action == "reuse"
    assert first.warnings == ("its code differs from the code that made it, but its version is unchanged",)
    assert second.warnings == ()


def test_the_key_depends_on_what_is_asked_and_on_nothing_else(tmp_path: Path) -> None:
    def key(*sets: str, seed: int = 1, **inputs: str) -> str:
        return key_of(load_recipe(write_recipe(tmp_path, SUM), sets).stages["sum"], seed, inputs)

    base = key(left="a", right="b")
    assert base == key("one.value=5", right="b", left="a")
    others = [key("sum.factor=2", left="a", right="b"), key(left="b", right="a"), key(left="a", right="b", seed=2)]
    assert len({base, *others}) == 4


def test_the_code_of_a_stage_counts_without_comments_and_with_what_it_imports(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "toypackage"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    (package / "__init__.py").write_text("")
    (package / "below.py").write_text("x = 1\n")

    def digest(stage_code: str, below: str) -> str:
        import importlib
        import sys

        (package / "stages.py").write_text(stage_code)
        (package / "below.py").write_text(below)
        for name in [name for name in sys.modules if name.startswith("toypackage")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        source_digest.cache_clear()
        import alidade.pipeline.source_digest as module

        module._parsed.cache_clear()
        return source_digest(importlib.import_module("toypackage.stages").make)

    code = "def make():\n    from toypackage.below import x\n    return x\n"
    base = digest(code, "x = 1\n")
    assert digest("# a comment\n" + code, "x   =  1\n") == base
    assert digest(code, "x = 2\n") != base
    assert digest(code.replace("return x", "return x + 1"), "x = 1\n") != base


def test_two_stages_of_one_name_are_an_error_of_ours() -> None:
    def other(config, inputs, context) -> None: ...

    other.__module__ = "somewhere.else_"
    with pytest.raises(AssertionError, match="two stages"):
        stage("toy-number", version=1, reads={}, writes=toy_stages.NUMBER, config=AddConfig)(other)
