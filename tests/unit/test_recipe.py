"""Recipes: every fault is found before anything runs, with its line and the nearest valid name."""

from pathlib import Path

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.errors import RecipeError
from alidade.pipeline import Recipe, load_recipe
from alidade.seeds import derive
from alidade.yaml_source import read_source, read_value


def load(folder: Path, stages: str = SUM, *sets: str, more: str = "", **options: bool) -> Recipe:
    path = write_recipe(folder, stages)
    path.write_text(path.read_text() + more)
    return load_recipe(path, sets, **options)


def refused(folder: Path, stages: str = SUM, *sets: str, more: str = "", **options: bool) -> str:
    with pytest.raises(RecipeError) as caught:
        load(folder, stages, *sets, more=more, **options)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "")


def value(recipe: Recipe, stage: str = "one") -> object:
    return recipe.stages[stage].config.model_dump()["value"]


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    recipe = load(tmp_path, "  one: {use: toy-number}\n")
    assert recipe.resolved() == {
        "name": "toy",
        "about": "",
        "seed": 0,
        "stages": {"one": {"use": "toy-number", "in": {}, "with": {"value": 1.0, "log_every": 10}}},
        "report": {},
    }


def test_a_stage_named_like_its_kind_needs_no_use(tmp_path: Path) -> None:
    assert load(tmp_path, "  toy-number: {}\n").stages["toy-number"].stage.name == "toy-number"


def test_stages_are_ordered_by_what_they_read(tmp_path: Path) -> None:
    stages = """\
  sum: {use: toy-add, in: {left: b, right: a}}
  b: {use: toy-number}
  a: {use: toy-number}
"""
    assert list(load(tmp_path, stages).stages) == ["b", "a", "sum"]


def test_each_stage_has_its_own_stream_of_chance(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert recipe.seed_of("one") == derive(0, "one") != recipe.seed_of("two")


def test_set_changes_a_value_by_its_short_or_its_full_name(tmp_path: Path) -> None:
    assert value(load(tmp_path, SUM, "one.value=1e-4")) == 1e-4
    assert value(load(tmp_path, SUM, "stages.one.with.value=7")) == 7
    assert load(tmp_path, SUM, "stages.sum.in.left=two").stages["sum"].inputs["left"] == "two"
    assert load(tmp_path, SUM, "seed=5").seed == 5


def test_the_last_set_wins(tmp_path: Path) -> None:
    assert value(load(tmp_path, SUM, "one.value=4", "one.value=5")) == 5


def test_quick_values_replace_and_set_comes_last(tmp_path: Path) -> None:
    more = "quick:\n  one: {value: 9}\n"
    assert value(load(tmp_path, more=more)) == 2
    assert value(load(tmp_path, more=more, quick=True)) == 9
    assert value(load(tmp_path, SUM, "one.value=4", more=more, quick=True)) == 4


def test_quick_and_set_reach_into_nested_fields_and_leave_their_neighbours(tmp_path: Path) -> None:
    stages = "  n: {use: toy-nested, with: {shape: {depth: 5}}}\n"
    quick = load(tmp_path, stages, more="quick:\n  n: {shape: {width: 7}}\n", quick=True)
    assert quick.stages["n"].asked == {"shape": {"depth": 5, "width": 7}}
    assert load(tmp_path, stages, "n.shape.width=9").stages["n"].asked == {"shape": {"depth": 5, "width": 9}}


def test_a_record_given_in_part_keeps_the_stages_own_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, "  n: {use: toy-nested, with: {shape: {depth: 5}}}\n")
    assert recipe.stages["n"].config.model_dump() == {"shape": {"depth": 5, "width": 4}}


def test_an_unknown_nested_field_offers_the_nearest_of_its_own_record(tmp_path: Path) -> None:
    assert refused(tmp_path, "  n: {use: toy-nested}\n", "n.shape.widht=3") == (
        "unknown field `widht`\n  at --set n.shape.widht=3 (stages.n.with.shape.widht)\nhint: did you mean `width`?"
    )


def test_an_unknown_record_is_placed_where_something_in_it_was_set(tmp_path: Path) -> None:
    assert refused(tmp_path, "  n: {use: toy-nested}\n", "n.shpae.width=3") == (
        "unknown field `shpae`\n  at --set n.shpae.width=3 (stages.n.with.shpae)\nhint: did you mean `shape`?"
    )


def test_a_seed_argument_replaces_the_recipes(tmp_path: Path) -> None:
    assert load_recipe(write_recipe(tmp_path, SUM), seed=3).seed == 3


def test_the_options_of_a_recipe_give_it_again(tmp_path: Path) -> None:
    recipe = load(tmp_path, SUM, "one.value=4", quick=True)
    assert recipe.options() == f"{tmp_path}/toy.yaml --quick --seed 0 --set one.value=4"


def test_the_report_section_is_handed_on_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, more="report: {compare: [a, b], on: yes}\n").report == {"compare": ["a", "b"], "on": "yes"}


def test_a_way_must_be_a_stage_of_the_recipe(tmp_path: Path) -> None:
    assert load(tmp_path, more="report: {ways: {people: one}}\n").report == {"ways": {"people": "one"}}
    said = refused(tmp_path, more="report:\n  ways:\n    people: onne\n")
    assert "way `people` is `onne`, which is no stage of this recipe" in said
    assert "toy.yaml:11 (report.ways.people)" in said
    assert "did you mean `one`?" in said
    assert "`ways` must be a mapping" in refused(tmp_path, more="report: {ways: [one]}\n")


def test_an_input_file_counts_by_content_not_by_name(tmp_path: Path) -> None:
    def asked(name: str, text: str) -> object:
        (tmp_path / name).write_text(text)
        stages = f"  a: {{use: toy-file, with: {{files: [{tmp_path}/{name}]}}}}\n"
        return load(tmp_path, stages).stages["a"].asked

    assert asked("x.txt", "one") == asked("y.txt", "one") != asked("y.txt", "two!")


def test_inert_fields_are_not_asked(tmp_path: Path) -> None:
    assert load(tmp_path).stages["one"].asked == {"value": 2.0}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            "  one:\n    use: toy-number\n    with:\n      valu: 2\n",
            "unknown field `valu`\n  at toy.yaml:7 (stages.one.with.valu)\nhint: did you mean `value`?",
        ),
        (
            "  one:\n    use: toy-nmuber\n",
            "unknown stage `toy-nmuber`\n  at toy.yaml:5 (stages.one.use)\nhint: did you mean `toy-number`?",
        ),
        (
            "  one: {use: toy-number, wiht: {}}\n",
            "unknown field `wiht`\n  at toy.yaml:4 (stages.one.wiht)\nhint: did you mean `with`?",
        ),
        (
            "  one: {use: toy-number, with: {value: -1}}\n",
            "`value`: input should be greater than 0, not -1\n  at toy.yaml:4 (stages.one.with.value)\n"
            "hint: `value` is: the number, above 0",
        ),
        (
            "  one: {use: toy-number, with: {value: nan}}\n",
            '`value`: input should be greater than 0, not "nan"\n  at toy.yaml:4 (stages.one.with.value)\n'
            "hint: `value` is: the number, above 0",
        ),
        (
            "  one: {use: toy-number, with: {value: inf}}\n",
            "a number is not finite\n  at toy.yaml:4 (stages.one.with)\nhint: nan and inf are no settings",
        ),
        (
            "  one: {use: toy-number}\n  sum:\n    use: toy-add\n    in: {left: one, right: oen}\n",
            "input `right` comes from `oen`, which is no stage of this recipe\n"
            "  at toy.yaml:7 (stages.sum.in.right)\nhint: did you mean `one`?",
        ),
        (
            "  one: {use: toy-number}\n  sum: {use: toy-add, in: {left: one}}\n",
            "stage `sum` lacks its input `right` (number)\n  at toy.yaml:5 (stages.sum)\n"
            "hint: add `in: {right: STAGE}`",
        ),
        (
            "  one: {use: toy-number}\n  sum: {use: toy-add, in: {left: one, right: one, rihgt: one}}\n",
            "unknown input `rihgt`\n  at toy.yaml:5 (stages.sum.in.rihgt)\nhint: did you mean `right`?",
        ),
        (
            "  rows: {use: toy-votes}\n  sum: {use: toy-add, in: {left: rows, right: sum}}\n",
            "input `left` wants number, but `rows` makes rows\n  at toy.yaml:5 (stages.sum.in.left)\n"
            "hint: stages that make number: `sum`",
        ),
        (
            "  a: {use: toy-add, in: {left: b, right: b}}\n  b: {use: toy-add, in: {left: a, right: a}}\n",
            "stages wait for one another in a circle: `a`, `b`\n  at toy.yaml:4 (stages.a)\n"
            "hint: let one of them read from an earlier stage",
        ),
        (
            "  a: {use: toy-file, with: {files: [none.txt]}}\n",
            "no such file: `none.txt`\n  at toy.yaml:4 (stages.a.with.files.0)\n"
            "hint: paths are relative to the current directory",
        ),
        (
            "  a: {use: toy-file, with: {files: [.]}}\n",
            "not a file: `.`\n  at toy.yaml:4 (stages.a.with.files.0)\n"
            "hint: paths are relative to the current directory",
        ),
        ("  one: 3\n", "`one` must be a mapping of fields\n  at toy.yaml:4 (stages.one)"),
        (
            "  a b: {use: toy-number}\n",
            "`a b` is no name for a stage\n  at toy.yaml:4 (stages.a b)\nhint: use letters, digits, - and _",
        ),
        (
            "  one: {use: toy-number}\n  one: {use: toy-number}\n",
            "field `one` comes twice\n  at toy.yaml:5\nhint: remove one of the two",
        ),
        (
            "  one: {use: toy-number\n",
            "not YAML: expected ',' or '}', but got '<stream end>'\n  at toy.yaml:5\nhint: check the indentation",
        ),
        ("", "the recipe has no stages\n  at toy.yaml:3 (stages)\nhint: list them under `stages:`"),
    ],
)
def test_a_faulty_stage_is_refused_with_its_place(tmp_path: Path, stages: str, message: str) -> None:
    assert refused(tmp_path, stages) == message


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "one.valu=3",
            "unknown field `valu`\n  at --set one.valu=3 (stages.one.with.valu)\nhint: did you mean `value`?",
        ),
        ("oen.value=3", "the recipe has no stage `oen`\n  at --set oen.value=3\nhint: did you mean `one`?"),
        ("one.value", "`--set` takes NAME=VALUE\n  at --set one.value\nhint: for instance --set sft.lr=1e-4"),
        ("one=3", "`--set` must name a field of the stage\n  at --set one=3\nhint: one.FIELD=VALUE"),
        (
            "one.value=[",
            "not YAML: expected the node content, but found '<stream end>'\n  at --set one.value=[\n"
            "hint: check the indentation",
        ),
        ("one.value.deeper=3", "`value` holds a value, not fields\n  at --set one.value.deeper=3"),
        ("seed=-1", "`seed` must be a whole number, 0 or more\n  at --set seed=-1 (seed)"),
        ("seed=true", "`seed` must be a whole number, 0 or more\n  at --set seed=true (seed)"),
    ],
)
def test_a_faulty_set_is_refused(tmp_path: Path, assignment: str, message: str) -> None:
    assert refused(tmp_path, SUM, assignment) == message


def test_an_unknown_field_of_the_recipe_is_refused(tmp_path: Path) -> None:
    assert (
        refused(tmp_path, more="stage: {}\n")
        == "unknown field `stage`\n  at toy.yaml:9 (stage)\nhint: did you mean `stages`?"
    )


def test_quick_is_checked_even_when_it_is_not_asked_for(tmp_path: Path) -> None:
    assert refused(tmp_path, more="quick: {oen: {}}\n").splitlines()[0] == (
        "`quick` names a stage `oen` that is not in the recipe"
    )
    assert refused(tmp_path, more="quick: {one: {valu: 1}}\n") == (
        "unknown field `valu`\n  at toy.yaml:9 (quick.one.valu)\nhint: did you mean `value`?"
    )


def test_a_bad_quick_value_is_placed_where_it_is_written(tmp_path: Path) -> None:
    assert "toy.yaml:9 (stages.one.with.value)" in refused(tmp_path, more="quick: {one: {value: x}}\n", quick=True)


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "- a\n", "a: &x [*x]\n", "? [a]\n: 1\n", "a: \x00\n", "3\n"])
def test_a_text_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_source(text, "r.yaml")
    assert "r.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1e-4", 1e-4),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("12", 12),
        ("'12'", "12"),
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("", None),
        ("null", None),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("1e999", "1e999"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("hello world", "hello world"),
    ],
)
def test_yaml_values_are_what_they_look_like(text: str, read: object) -> None:
    found = read_value(text, "--set")
    assert found == read
    assert type(found) is type(read)
