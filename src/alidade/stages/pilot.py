"""The stage that brings the shipped pilot into a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from pydantic import Field

from alidade.pipeline import InputReference, StageContext, stage
from alidade.records import Record
from alidade.stages.kinds import MODEL
from alidade.store import Artifact
from alidade.testbed.pilot import pilot_folder


class PilotConfig(Record):
    """The shipped weights; their content enters the stage's key, so a new pilot is never mistaken for an old one."""

    weights: InputReference = Field(default_factory=lambda: str(pilot_folder()), description="the folder of the pilot")


@stage("pilot", version=1, reads={}, writes=MODEL, config=PilotConfig)
def pilot(config: PilotConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The base model that ships with the package."""
    shutil.copytree(config.weights, context.out, dirs_exist_ok=True)
