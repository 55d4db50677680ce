"""The guide to a training that goes wrong says what `doctor` says: its tables are those of the code."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from alidade.stages import kto, preference, reinforcement, training
from alidade.training.preflight import PREFLIGHT
from alidade.training.symptoms import SYMPTOMS

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "when-training-goes-wrong.md"
STAGES = (
    training.SftStage,
    training.RewardStage,
    preference.DpoStage,
    kto.KtoStage,
    reinforcement.PpoStage,
    reinforcement.GrpoStage,
)
REMEDIES = {one.name: one.remedy for one in SYMPTOMS} | {name: one.remedy for name, one in PREFLIGHT.items()}


def test_the_tables_are_those_of_the_code():
    during = [
        f"| {one.name} | {', '.join(f'`{name}`' for name in one.columns)} | {one.cause} | {one.remedy} |"
        for one in SYMPTOMS
    ]
    before = [
        f"| {name} | {re.sub(r'{[^}]*}', 'x', one.words)} | {one.cause} | {one.remedy} |"
        for name, one in PREFLIGHT.items()
    ]
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "`" * 3 not in line]
    told = [row for row in rows if not row.startswith(("| name |", "| symptom |"))]
    assert told == before + during


@pytest.mark.parametrize("name", REMEDIES)
def test_every_setting_that_is_named_exists(name):
    for setting in re.findall(r"`(training\.[a-z_.]+)", REMEDIES[name]):
        assert any(has(stage, setting.split(".")) for stage in STAGES), setting


def has(config: type[BaseModel], path: list[str]) -> bool:
    if path[0] not in config.model_fields:
        return False
    inner = config.model_fields[path[0]].annotation
    return len(path) == 1 or (isinstance(inner, type) and issubclass(inner, BaseModel) and has(inner, path[1:]))
