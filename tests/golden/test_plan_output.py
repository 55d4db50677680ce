"""The wording of plans."""

from pathlib import Path

from tests.toy_stages import write_recipe

from alidade.pipeline import load_recipe, plan, run
from alidade.store import Store

STAGES = """\
  base: {use: toy-number, with: {value: 2}}
  extra: {use: toy-number, with: {value: 3}}
  sum: {use: toy-add, in: {left: base, right: extra}}
  last: {use: toy-add, in: {left: sum, right: base}}
"""


def test_a_plan_says_what_will_happen_and_why(tmp_path: Path) -> None:
    recipe, store = write_recipe(tmp_path, STAGES), Store(tmp_path / "store")

    def planned(*sets: str) -> str:
        return "\n".join(str(one) for one in plan(load_recipe(recipe, sets), store))

    assert (
        planned()
        == """\
base: run - never made
extra: run - never made
sum: run - never made
last: run - never made"""
    )
    made = {one.name: one.digest[:6] for one in run(load_recipe(recipe), store).stages}
    assert (
        planned()
        == """\
base: reuse - unchanged
extra: reuse - unchanged
sum: reuse - unchanged
last: reuse - unchanged"""
    )
    assert (
        planned("extra.value=0.25", "last.factor=2")
        == """\
base: reuse - unchanged
extra: run - config `value` 3.0 -> 0.25
sum: run - input `right` will be made anew
last: run - input `left` will be made anew"""
    )
    assert (
        planned("stages.sum.in.right=base", "sum.factor=2")
        == f"""\
base: reuse - unchanged
extra: reuse - unchanged
sum: run - input `right` changed {made["extra"]}.. -> {made["base"]}..; config `factor` 1.0 -> 2.0
last: run - input `left` will be made anew"""
    )
    assert (
        planned("seed=1")
        == """\
base: run - seed changed
extra: run - seed changed
sum: run - input `left` will be made anew; input `right` will be made anew
last: run - input `left` will be made anew; input `right` will be made anew"""
    )
