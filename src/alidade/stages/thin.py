"""The stage that keeps a part of the comparisons, so that the same training can be seen with less data."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import Field

from alidade.errors import DataError
from alidade.pipeline import StageContext, stage
from alidade.preferences import prompt_key
from alidade.records import Record
from alidade.seeds import derive
from alidade.stages.judged import read_judged, write_split
from alidade.stages.kinds import COMPARISONS
from alidade.store import Artifact, write_json


class ThinConfig(Record):
    """How much is kept, and which."""

    share: float = Field(gt=0, le=1, description="share of the prompts whose comparisons are kept")
    seed: int = Field(default=0, description="which prompts; of equal seeds the smaller share is part of the larger")


@stage("thin", version=2, reads={"comparisons": COMPARISONS}, writes=COMPARISONS, config=ThinConfig)
def thin(config: ThinConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A share of the comparisons and rankings, whole prompts at a time; held-out ones all stay."""
    rows, heldout = read_judged(inputs["comparisons"].path)
    chosen = _share_of({prompt_key(row.prompt) for row in rows}, config)
    kept = [row for row in rows if prompt_key(row.prompt) in chosen]
    if not kept:
        raise DataError(f"nothing is left of {len(rows)} comparisons", hint="raise `share`")
    rankings = write_split(context.out, kept, heldout)
    counts = {"comparisons": len(kept), "prompts": len(chosen), "dropped": {"not in the share": len(rows) - len(kept)}}
    write_json(context.out / "counts.json", {"rows": counts} | ({"rankings": rankings} if rankings else {}))
    context.note("rows", len(kept))


def _share_of(prompts: Collection[str], config: ThinConfig) -> frozenset[str]:
    """The first of the prompts in an order by chance, so that a smaller share is part of a larger one.

    Among those that are here: rows split by the same seed were kept back by the same chance, so a bound on it would take
    the held-out share twice.
    """
    order = sorted(prompts, key=lambda prompt: derive(config.seed, "held out", prompt))
    return frozenset(order[: round(config.share * len(order))])
