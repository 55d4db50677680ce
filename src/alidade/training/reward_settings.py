"""Where the scores of a reward come from, beside a reward model; nothing here loads torch or asks anything."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from alidade.models.base import Patience
from alidade.records import Record

RUBRIC = (
    "Judge how good the answer is for the person who asked: is it right, complete, to the point, honest about what it does "
    "not know, and harmless?"
)


class RewardServer(Patience):
    """A server that scores answers: it is sent {prompts, answers, finished} and replies {scores}."""

    key_variable: str = Field(
        default="ALIDADE_REWARD_KEY", description="environment variable that holds the server's key, if it has one"
    )
    base_url: str = Field(description="where requests are posted")
    answers_at_once: int = Field(default=256, gt=0, description="answers of one request")


class RewardJudge(Record):
    """A model that scores answers from 1 to 10 by a rubric; they count as 0 to 1."""

    model: str = Field(description="the judge's address: a folder, hf:OWNER/NAME, http(s)://HOST/v1#MODEL, script:FILE")
    rubric: str = Field(default=RUBRIC, min_length=1, description="what a good answer is, in words")
    attempts: int = Field(default=3, ge=1, description="tries until a reply is a number; the later ones are drawn")


class RewardSource(Record):
    """Where the scores of one reward come from: exactly one of these."""

    verify: str = Field(default="", description="a reward that is computed, by name: final-number, checks, ...")
    http: RewardServer | None = Field(default=None, description="a server that scores answers")
    judge: RewardJudge | None = Field(default=None, description="a model that scores answers by a rubric")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(bool(one) for one in (self.verify, self.http, self.judge)) != 1:
            raise ValueError("a reward comes from one of verify, http and judge")
        return self
