"""The stage that keeps a part of the comparisons, so that the same training can be seen with less data."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from alidade.errors import DataError
from alidade.pipeline import StageContext, stage
from alidade.preferences import held_out, prompt_key
from alidade.records import Comparison, Record
from alidade.stages.kinds import COMPARISONS
from alidade.store import Artifact, read_rows, write_json, write_rows


class ThinConfig(Record):
    """How much is kept, and which."""

    share: float = Field(gt=0, le=1, description="share of the prompts whose comparisons are kept")
    seed: int = Field(default=0, description="which prompts; of equal seeds the smaller share is part of the larger")


@stage("thin", version=1, reads={"comparisons": COMPARISONS}, writes=COMPARISONS, config=ThinConfig)
def thin(config: ThinConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A share of the comparisons, whole prompts at a time; held-out comparisons all stay."""
    files = inputs["comparisons"].path
    rows, heldout = (read_rows(files / name, Comparison) for name in ("rows.jsonl", "heldout.jsonl"))
    kept = [row for row in rows if held_out(prompt_key(row.prompt), config.share, config.seed)]
    if not kept:
        raise DataError(f"nothing is left of {len(rows)} comparisons", hint="raise `share`")
    write_rows(context.out / "rows.jsonl", kept)
    write_rows(context.out / "heldout.jsonl", heldout)
    prompts = len({prompt_key(row.prompt) for row in kept})
    counts = {"comparisons": len(kept), "prompts": prompts, "dropped": {"not in the share": len(rows) - len(kept)}}
    write_json(context.out / "counts.json", {"rows": counts})
    context.note("rows", len(kept))
