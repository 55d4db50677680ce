"""Importing alidade and asking for help is quick and loads nothing heavy."""

import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alidade

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "pyarrow", "scipy", "numpy", "peft", "pydantic")
LIMIT_SECONDS = 0.5
REPORT = f"; print('loaded:', *[name for name in {HEAVY!r} if name in __import__('sys').modules])"
HELP = """
import sys
from alidade.cli.main import main
sys.argv = ["alidade", "--help"]
try: main()
except SystemExit: pass
"""


def used_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(code: str) -> tuple[str, float]:
    """(what was loaded, processor seconds); not wall time, which on a busy machine measures its neighbours."""
    before = used_seconds()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.splitlines()[-1], used_seconds() - before


@pytest.mark.parametrize("code", ["import alidade", HELP + "pass"], ids=["import", "help"])
def test_nothing_heavy_is_loaded_and_it_takes_less_than_half_a_second(code: str) -> None:
    tries = [measured(code + REPORT) for _ in range(3)]
    assert {loaded for loaded, _ in tries} == {"loaded:"}
    assert min(seconds for _, seconds in tries) < LIMIT_SECONDS


def test_a_recipe_is_checked_without_loading_torch() -> None:
    code = "from alidade.cli.recipes import open_recipe; open_recipe('tour', (), quick=False)"
    loaded, _ = measured(code + REPORT)
    assert not {"torch", "transformers", "peft", "scipy"} & set(loaded.split())


def test_every_public_name_exists() -> None:
    for name in alidade.__all__:
        assert getattr(alidade, name) is not None
    assert set(dir(alidade)) == set(alidade.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        alidade.nothing  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == alidade.__version__
