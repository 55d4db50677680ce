"""The stage that brings the shipped pilot into a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from alidade.pipeline import StageContext, stage
from alidade.records import Record
from alidade.stages.kinds import MODEL
from alidade.store import Artifact
from alidade.testbed.pilot import pilot_folder


class PilotConfig(Record):
    """Nothing to choose: the package holds one pilot."""


@stage("pilot", version=1, reads={}, writes=MODEL, config=PilotConfig)
def pilot(config: PilotConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The base model that ships with the package."""
    shutil.copytree(pilot_folder(), context.out, dirs_exist_ok=True)
