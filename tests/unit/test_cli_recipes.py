"""Finding recipes and models by name."""

from pathlib import Path

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.cli.folders import model_place, run_folder
from alidade.cli.recipes import find_recipe, shipped_recipes
from alidade.errors import RecipeError, UsageError
from alidade.pipeline import load_recipe, run
from alidade.store import Store


def test_the_tour_is_shipped() -> None:
    assert "tour" in shipped_recipes()
    assert find_recipe("tour").name == "tour.yaml"


def test_a_file_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tour").write_text("name: mine\n")
    assert find_recipe("tour") == Path("tour")


def test_a_path_that_does_not_exist_is_no_shipped_name() -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe("recipes/tuor.yaml")
    assert caught.value.hint == "did you mean `tour`?"


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run(load_recipe(write_recipe(Path(), SUM)), Store(Path("runs/toy/store")), out=Path("runs/toy"))
    return Path("runs/toy")


def test_the_newest_run_is_the_default(finished: Path) -> None:
    assert run_folder(None) == finished
    with pytest.raises(UsageError, match="no run here"):
        run_folder(Path("elsewhere"))


@pytest.mark.parametrize("asked", ["sum", "runs/toy:sum"])
def test_a_stage_that_makes_no_model_is_no_model(finished: Path, asked: str) -> None:
    with pytest.raises(UsageError, match="stage `sum` makes number, not a model"):
        model_place(asked, finished)


def test_a_folder_an_address_and_a_hub_id_stand_as_they_are(finished: Path) -> None:
    for asked in (".", "http://localhost:8000/v1#m", "someone/model"):
        assert model_place(asked, finished) == asked


def test_a_stage_of_a_folder_without_a_run_is_refused(finished: Path) -> None:
    with pytest.raises(UsageError, match="no run in `elsewhere`"):
        model_place("elsewhere:sft", finished)
