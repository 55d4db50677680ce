"""The stage that lets a model answer prompts, several times each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from alidade.models.base import Sampling
from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Completion, Prompt, Record
from alidade.seeds import generator
from alidade.stages.kinds import ANSWERS, MODEL, PROMPTS
from alidade.store import Artifact, read_rows, write_json, write_rows


class SampleConfig(Record):
    """How many answers, and how they are drawn."""

    per_prompt: int = Field(default=4, ge=2, description="answers to each prompt")
    strays: int = Field(
        default=0,
        ge=0,
        description="answers to other prompts added to each prompt's candidates (never to held-out ones), so that a reward "
        "model learns that an answer must fit its question",
    )
    temperature: float = Field(default=1.0, gt=0, description="softmax temperature")
    max_new_tokens: int = Field(default=80, ge=1, description="longest answer, in tokens")


def with_strays(rows: Sequence[Candidates], count: int, seed: int) -> list[Candidates]:
    """Each row with `count` answers that were drawn for other prompts; one that equals an own answer is left out."""
    rng, mixed = generator(seed, "strays"), []
    for row in rows:
        strays = [rng.choice(rng.choice(rows).answers) for _ in range(count)]
        own = {answer.text for answer in row.answers}
        mixed.append(
            row.model_copy(update={"answers": (*row.answers, *(one for one in strays if one.text not in own))})
        )
    return mixed


@stage("sample", version=2, reads={"model": MODEL, "prompts": PROMPTS}, writes=ANSWERS, config=SampleConfig)
def sample(config: SampleConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Several answers of the model to every prompt."""
    from alidade.models.engine import generate
    from alidade.models.local import load

    model = load(inputs["model"].path)
    how = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens, seed=context.seed)
    cut = 0
    for name in ("rows.jsonl", "heldout.jsonl"):
        prompts = read_rows(inputs["prompts"].path / name, Prompt)
        ids = [model.renderer.prompt(prompt.conversation) for prompt in prompts]
        drawn = generate(
            model.module,
            ids,
            how,
            stop_ids=model.renderer.stop_ids,
            copies=config.per_prompt,
            progress=context.progress,
        )
        said = [
            Completion(text=model.renderer.decode(one.tokens), finished=one.finished, token_count=len(one.tokens))
            for one in drawn
        ]
        cut += sum(not one.finished for one in said)
        groups = zip(prompts, zip(*[iter(said)] * config.per_prompt, strict=True), strict=True)
        candidates = [Candidates(prompt=prompt, answers=group) for prompt, group in groups]
        strays = config.strays if name == "rows.jsonl" else 0
        write_rows(context.out / name, with_strays(candidates, strays, context.seed))
    write_json(context.out / "counts.json", {"truncated": {"answer longer than max_new_tokens": cut}})
