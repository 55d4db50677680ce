"""Sampling without waste: packed prefills, shared by K answers; finished answers leave and others take their slots.

Live answers are always the first slots, so a step computes nothing for the finished ones. What many prompts begin with is
prefilled once and kept once. Every answer draws from its
own stream of random numbers, named by its prompt's place and its copy, so neither `batch_size` nor the order of work
chooses the noise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from alidade.errors import DataError, ModelError
from alidade.models.attention import attach, unwrapped
from alidade.models.base import Sampled, Sampling
from alidade.models.cache import Cache, Filling, Prefix, Step
from alidade.models.decode import step_logits
from alidade.models.prefixes import Group, shared_prefixes
from alidade.models.segments import Segments
from alidade.progress import Progress, SilentProgress, Tracker
from alidade.seeds import derive

PREFILL_TOKENS = 8192
CACHE_BYTES = {"cpu": 1 << 30, "cuda": 8 << 30}
# New shapes cost a set-up in the matrix library, so a step's width changes in strides.
STRIDE = 8
ROW_BYTES = 1 << 27


@torch.no_grad()
def generate(  # noqa: PLR0913 - what is sampled, how, and how it is scheduled
    module: nn.Module,
    prompts: Sequence[Sequence[int]],
    how: Sampling,
    *,
    stop_ids: Collection[int],
    copies: int = 1,
    batch_size: int = 256,
    share: bool = True,
    progress: Progress | None = None,
) -> list[Sampled]:
    """`copies` answers to each prompt, all of a prompt's answers in a row.

    An answer ends with a stop token, or unfinished after `how.max_new_tokens` tokens or at the end of the model's
    context. `log_probs` are at the sampling temperature, and at 1 where that is 0. With `share`, tokens that many
    prompts begin with are computed once, and the answers are the same up to rounding.

    Raises:
        DataError: when a prompt is empty or fills the model's context.
        ModelError: when the architecture is not supported, or its logits are not numbers.
    """
    if not prompts or copies < 1:
        return []
    model = unwrapped(module)
    attach(model)
    limits = _limits(model, prompts, how)
    with (
        _evaluating(model),
        (progress or SilentProgress()).track(len(prompts) * copies, "sampling", "answers") as tracker,
    ):
        groups = shared_prefixes(prompts, copies) if share else []
        work = _Work.of(model, prompts, limits, groups, copies=copies, batch_size=batch_size)
        run = _Run(model, how, work, torch.tensor(sorted(stop_ids), device=model.device), tracker)
        run.to_the_end()
    return run.results()


def context_length(module: nn.Module) -> int | None:
    """The longest row of tokens the model is made for, or None where its config does not say."""
    config = unwrapped(module).config.get_text_config()
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_sequence_length"))
    return next((length for length in named if length), None)


def _limits(model: Any, prompts: Sequence[Sequence[int]], how: Sampling) -> list[int]:
    """The most new tokens of each prompt's answers."""
    context = context_length(model)
    limits = []
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise DataError(
                "a prompt without tokens", where=f"prompt {place}", hint="begin it with the tokenizer's first token"
            )
        room = how.max_new_tokens if context is None else context - len(prompt)
        if room < 1:
            raise DataError(
                f"a prompt of {len(prompt)} tokens fills the model's context of {context}",
                where=f"prompt {place}",
                hint="shorten the prompt, or use a model with a longer context",
            )
        limits.append(min(how.max_new_tokens, room))
    return limits


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@dataclass(frozen=True)
class _Work:
    """What is to be written: jobs by group, in order of their lengths, and how many are written at a time.

    `length` is the most tokens of a slot, which holds what follows the prefix; `group_of` is -1 for a prompt in no group.
    """

    prompts: Sequence[Sequence[int]]
    limits: Sequence[int]
    copies: int
    groups: Sequence[Group]
    group_of: list[int]
    order: list[int]
    slots: int
    length: int

    @classmethod
    def of(
        cls,
        model: Any,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        groups: Sequence[Group],
        *,
        copies: int,
        batch_size: int,
    ) -> _Work:
        group_of = [-1] * len(prompts)
        own = [len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)]
        for number, group in enumerate(groups):
            for place in group.places:
                group_of[place] = number
                own[place] -= group.length
        places = sorted(range(len(prompts)), key=lambda place: (group_of[place], -own[place]))
        order = [place * copies + copy for place in places for copy in range(copies)]
        # Each slot also has its part in the prefixes.
        part = max((-(-group.length // (len(group.places) * copies)) for group in groups), default=0)
        slots = max(1, min(batch_size, len(order), _affordable_slots(model, max(own) + part)))
        return cls(prompts, limits, copies, groups, group_of, order, slots, max(own))

    def prompt_of(self, job: int) -> int:
        return job // self.copies

    def before(self, prompt: int) -> int:
        """How many of the prompt's tokens its group shares."""
        group = self.group_of[prompt]
        return self.groups[group].length if group >= 0 else 0

    def rest(self, prompt: int) -> Sequence[int]:
        """The prompt's tokens after those that its group shares."""
        return self.prompts[prompt][self.before(prompt) :]


def _affordable_slots(model: Any, length: int) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = 4 if model.device.type == "cpu" else model.dtype.itemsize
    per_slot = 2 * config.num_hidden_layers * heads * width * length * size
    return CACHE_BYTES.get(model.device.type, CACHE_BYTES["cpu"]) // per_slot


class _Run:
    """One call of `generate`: the slots' state, and the answers written so far."""

    def __init__(self, model: Any, how: Sampling, work: _Work, stop: Tensor, tracker: Tracker) -> None:
        self._model, self._how, self._work, self._stop, self._tracker = model, how, work, stop, tracker
        device, jobs, longest = model.device, len(work.order), max(work.limits)
        self._cache = Cache(work.slots, work.length)
        self._key = derive(how.seed, "sampling")
        self._queue, self._live = 0, 0
        self._prefixes: dict[int, Prefix] = {}
        # One row each: the job, the cached tokens, the tokens written, the most it may write, the last token,
        # the group, the tokens of its prefix.
        self._state = torch.zeros(7, work.slots, dtype=torch.int64, device=device)
        self._job, self._cached, self._written, self._limit, self._last, self._group, self._before = self._state
        self._tokens = torch.zeros(jobs, longest, dtype=torch.int32, device=device)
        self._log_probs = torch.zeros(jobs, longest, dtype=torch.float32, device=device)
        self._counts = torch.zeros(jobs, dtype=torch.int64, device=device)
        self._finished = torch.zeros(jobs, dtype=torch.bool, device=device)

    def to_the_end(self) -> None:
        while self._live or self._queue < len(self._work.order):
            if self._should_refill():
                self._refill()
            else:
                self._step()

    def results(self) -> list[Sampled]:
        rows = zip(
            self._tokens.tolist(), self._log_probs.tolist(), self._counts.tolist(), self._finished.tolist(), strict=True
        )
        return [Sampled(tokens[:count], log_probs[:count], finished) for tokens, log_probs, count, finished in rows]

    def _should_refill(self) -> bool:
        free = self._work.slots - self._live
        waiting = len(self._work.order) - self._queue
        # A refill of a few slots is as slow as a step of all: wait until it is worth one.
        return waiting > 0 and (not self._live or free >= min(waiting, max(1, self._work.slots // 8)))

    def _refill(self) -> None:
        """Prefill what follows the prefix in the next jobs' prompts, each once, and draw the first token of every job."""
        jobs, prompts = self._next_jobs()
        work, device = self._work, self._model.device
        self._renew_prefixes({work.group_of[prompt] for prompt in prompts})
        rows = [work.rest(prompt) for prompt in prompts]
        lengths = torch.tensor([len(row) for row in rows])
        ends = lengths.cumsum(0)
        row_of = {prompt: place for place, prompt in enumerate(prompts)}
        place = torch.tensor([row_of[work.prompt_of(job)] for job in jobs])
        # A short prompt's slot takes some token after its end as well; it is hidden, then overwritten.
        taken = (ends - lengths)[place, None] + torch.arange(int(lengths.max()))
        tokens = taken.clamp_max(int(ends[-1]) - 1).to(device)
        filling = Filling(self._parts(prompts), self._cache, self._live, tokens)
        logits = self._model(
            input_ids=torch.tensor([token for row in rows for token in row], device=device)[None],
            position_ids=filling.position_ids,
            slots=filling,
            use_cache=False,
            logits_to_keep=(ends - 1).to(device),
        ).logits[0]
        new = slice(self._live, self._live + len(jobs))
        self._job[new] = torch.tensor(jobs, device=device)
        self._cached[new] = lengths[place].to(device)
        self._written[new] = 0
        of_prompt = [(work.limits[prompt], work.group_of[prompt], work.before(prompt)) for prompt in prompts]
        self._limit[new], self._group[new], self._before[new] = torch.tensor(of_prompt)[place].T.to(device)
        self._live += len(jobs)
        self._queue += len(jobs)
        self._write(logits[place.to(device)], new)

    def _next_jobs(self) -> tuple[list[int], list[int]]:
        """Jobs for the free slots, and their distinct prompts, as many as one prefill takes."""
        jobs: list[int] = []
        prompts: dict[int, None] = {}
        tokens = 0
        for job in self._work.order[self._queue : self._queue + self._work.slots - self._live]:
            prompt = self._work.prompt_of(job)
            if prompt not in prompts:
                tokens += len(self._work.rest(prompt))
                if jobs and tokens > PREFILL_TOKENS:
                    break
                prompts[prompt] = None
            jobs.append(job)
        return jobs, list(prompts)

    def _renew_prefixes(self, beginning: set[int]) -> None:
        """Keep the prefixes of the live answers, and compute those of the groups that begin."""
        if self._work.groups:
            needed = (beginning | set(self._live_groups())) - {-1}
            self._prefixes = {number: self._prefixes.get(number) or self._prefilled(number) for number in needed}

    def _live_groups(self) -> list[int]:
        return self._group[: self._live].unique().tolist()

    def _prefilled(self, number: int) -> Prefix:
        group = self._work.groups[number]
        return Prefix.of(self._model, self._work.prompts[group.places[0]][: group.length])

    def _parts(self, prompts: Sequence[int]) -> tuple[tuple[Segments, Prefix | None], ...]:
        """The plan of each group's prompts, which are neighbours, and the prefix before them."""
        work, device = self._work, self._model.device
        grouped = groupby(prompts, key=work.group_of.__getitem__)
        rows = ((number, [(len(work.rest(prompt)), ()) for prompt in some]) for number, some in grouped)
        return tuple((Segments.of(trees, device), self._prefixes.get(number)) for number, trees in rows)

    def _step(self) -> None:
        """One more token for every live job."""
        live = self._live
        width = live if live <= STRIDE else min(self._work.slots, -(-live // STRIDE) * STRIDE)
        step = Step.at(self._cache, self._cached[:width], self._before[:width], self._shared())
        logits = step_logits(self._model, self._last[:width], step)[:live]
        self._cached[:live] += 1
        self._write(logits, slice(0, live))

    def _shared(self) -> list[tuple[Prefix, Tensor]]:
        """The live prefixes, each with the slots behind it."""
        if not self._prefixes:
            return []
        groups = self._group[: self._live]
        live = [number for number in self._live_groups() if number >= 0]
        return [(self._prefixes[number], (groups == number).nonzero()[:, 0]) for number in live]

    def _write(self, logits: Tensor, slots: slice) -> None:
        """Draw a token for each of `slots`, note it, and let the finished leave."""
        job, written = self._job[slots], self._written[slots]
        tokens, log_probs = draw(logits, self._how.temperature, uniform(self._key, job, written))
        self._tokens[job, written] = tokens.to(torch.int32)
        self._log_probs[job, written] = log_probs
        self._last[slots] = tokens
        written += 1
        stopped = torch.isin(tokens, self._stop)
        done = stopped | (written >= self._limit[slots])
        if bool(done.any()):
            self._counts[job[done]] = written[done]
            self._finished[job[done]] = stopped[done]
            self._leave(done.nonzero()[:, 0] + slots.start)

    def _leave(self, gone: Tensor) -> None:
        """Free the slots `gone`: the last live ones move into the holes."""
        live = self._live - len(gone)
        stays = torch.ones(self._live, dtype=torch.bool, device=gone.device)
        stays[gone] = False
        holes = gone[gone < live]
        movers = stays[live:].nonzero()[:, 0] + live
        if len(holes):
            longest = int(self._cached[movers].max())
            self._state[:, holes] = self._state[:, movers]
            self._cache.move(movers, holes, longest)
        self._cached[live : self._live] = 0
        self._live = live
        self._tracker.advance(len(gone))


def draw(logits: Tensor, temperature: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A token per row of `logits` [rows, vocabulary], and its log-probability in nats; `noise` is uniform in [0, 1).

    The inverse of the cumulative distribution, in fp64: one random number per token, and exact at any vocabulary size.

    Raises:
        ModelError: when the logits are not numbers.
    """
    rows = max(1, ROW_BYTES // (8 * logits.shape[1]))
    pairs = [_draw(part, temperature, one) for part, one in zip(logits.split(rows), noise.split(rows), strict=True)]
    return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])


def _draw(logits: Tensor, temperature: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    log_probs = (logits.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        tokens = logits.argmax(-1)
    else:
        cumulative = log_probs.exp().cumsum(-1, dtype=torch.float64)
        total = cumulative[:, -1:]
        # Rounding must not reach the total: the tokens behind the last possible one have no probability.
        threshold = (noise[:, None] * total).minimum(total.nextafter(torch.zeros_like(total)))
        tokens = torch.searchsorted(cumulative, threshold, right=True)[:, 0].clamp_max_(logits.shape[1] - 1)
    chosen = log_probs.gather(1, tokens[:, None])[:, 0]
    if bool(chosen.isnan().any()):
        raise ModelError("the model's logits are not numbers", hint="the weights are damaged, or training diverged")
    return tokens, chosen


def uniform(key: int, stream: Tensor, place: Tensor) -> Tensor:
    """Number `place` of the stream `stream` under `key`, fp64 in [0, 1): a function of its arguments alone.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), the finaliser of SplitMix64.
    """
    inner = _mixed(stream * _signed(0x9E3779B97F4A7C15) + key)
    return _shifted(_mixed(inner + place * _signed(0x9E3779B97F4A7C15)), 11).to(torch.float64) * 2.0**-53


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shifted(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """A logical shift right: torch's own keeps the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
