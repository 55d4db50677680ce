"""The stage that puts two sources of comparisons together: by principles for harmlessness, by people for help."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from alidade.errors import DataError
from alidade.pipeline import StageContext, stage
from alidade.preferences import prompt_key
from alidade.records import Comparison, Ranking, Record
from alidade.seeds import generator
from alidade.stages.judged import read_judged, write_split
from alidade.stages.kinds import COMPARISONS
from alidade.store import Artifact, write_json

Judged = Comparison | Ranking


class MixConfig(Record):
    """How much of each source is learned from."""

    people_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of the rows that people judged; all rows of both where none is named",
    )


@stage(
    "mix",
    version=1,
    reads={"principles": COMPARISONS, "people": COMPARISONS},
    writes=COMPARISONS,
    config=MixConfig,
)
def mix(config: MixConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Comparisons by principles and by people as one set ([B22] section 4.1: a preference model learns from both).

    What is held out in one is learned from in neither; labels stay as they are.
    """
    principles, held_principles = read_judged(inputs["principles"].path)
    people, held_people = read_judged(inputs["people"].path)
    heldout = [*held_principles, *held_people]
    kept_back = {prompt_key(row.prompt) for row in heldout}
    free_principles = [row for row in principles if prompt_key(row.prompt) not in kept_back]
    free_people = [row for row in people if prompt_key(row.prompt) not in kept_back]
    of_principles, of_people = _in_share(free_principles, free_people, config.people_share, context.seed)
    if not of_principles or not of_people:
        raise DataError("one of the two sources has nothing to learn from", hint="give more rows, or another share")
    rows: list[Judged] = [*of_principles, *of_people]
    generator(context.seed, "order of both").shuffle(rows)
    rankings = write_split(context.out, rows, heldout)
    free = len(free_principles) + len(free_people)
    counts = {
        "principles": len(of_principles),
        "people": len(of_people),
        "dropped": {
            "held out in the other source": len(principles) + len(people) - free,
            "beyond the share": free - len(rows),
        },
    }
    write_json(context.out / "counts.json", {"rows": counts} | ({"rankings": rankings} if rankings else {}))
    context.note("principles", len(of_principles))
    context.note("people", len(of_people))


def _in_share(
    principles: list[Judged], people: list[Judged], share: float | None, seed: int
) -> tuple[list[Judged], list[Judged]]:
    """As many rows as there are with `share` of them by people; which are left out is drawn."""
    if share is None:
        return principles, people
    whole = min(len(people) / share, len(principles) / (1 - share))
    rng = generator(seed, "share of people")
    return (
        rng.sample(principles, min(len(principles), round(whole * (1 - share)))),
        rng.sample(people, min(len(people), round(whole * share))),
    )
