"""The stage that lets a model answer prompts, several times each."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from alidade.models.base import Sampling
from alidade.pipeline import StageContext, stage
from alidade.preferences.strays import with_strays
from alidade.records import Candidates, Completion, Prompt, Record
from alidade.seeds import generator
from alidade.stages.kinds import ANSWERS, MODEL, PROMPTS
from alidade.store import Artifact, read_rows, write_json, write_rows


class SampleConfig(Record):
    """How many answers, and how they are drawn."""

    per_prompt: int = Field(default=4, ge=1, description="answers to each prompt; comparing them takes two")
    strays: int = Field(
        default=0,
        ge=0,
        description="answers to other, mostly similar prompts added to each prompt's candidates (never to held-out ones), so "
        "that a reward model learns that an answer must fit its question",
    )
    temperature: float = Field(default=1.0, gt=0, description="softmax temperature")
    max_new_tokens: int = Field(default=80, ge=1, description="longest answer, in tokens")


@stage("sample", version=4, reads={"model": MODEL, "prompts": PROMPTS}, writes=ANSWERS, config=SampleConfig)
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
        write_rows(context.out / name, with_strays(candidates, strays, generator(context.seed, "strays")))
    write_json(context.out / "counts.json", {"truncated": {"answer longer than max_new_tokens": cut}})
