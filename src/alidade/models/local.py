"""Models on this machine: any Hugging Face causal LM, by folder or hub id, as a `ChatModel` and a `TokenModel`."""

from __future__ import annotations

import copy
import ctypes
import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from alidade.errors import AlidadeError, DataError, ModelError
from alidade.hub import refuse_missing
from alidade.models.adapters import is_adapter, named_base, put_on, refuse_tokenizer
from alidade.models.attention import attach, unwrapped
from alidade.models.base import Sampled, Sampling
from alidade.models.cache import Parts, Prefix
from alidade.models.engine import context_length, generate
from alidade.models.prefixes import shared_prefixes
from alidade.models.quantised import Quantised, four_bits
from alidade.models.render import Renderer
from alidade.models.segments import Segments
from alidade.progress import Progress
from alidade.records import Completion, Conversation

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
PLACE_FIELDS = ("is_local", "local_files_only", "name_or_path")
SCORE_TOKENS = 8192
LOGIT_BYTES = 1 << 28
GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class LocalModel:
    """A causal LM with its tokenizer; `context_length` is in tokens, None where the model does not say."""

    name: str
    module: nn.Module
    tokenizer: PreTrainedTokenizerBase
    renderer: Renderer
    context_length: int | None
    batch_size: int = 256

    def reply(self, chats: Sequence[Conversation], how: Sampling, progress: Progress | None = None) -> list[Completion]:
        """One completion per conversation, in the same order; one that cannot be asked gets an `error`."""
        prompts: list[list[int]] = []
        faults: dict[int, str] = {}
        for place, chat in enumerate(chats):
            try:
                prompts.append(self._fitting(self.renderer.prompt(chat)))
            except AlidadeError as error:
                faults[place] = error.what
        drawn = iter(self.sample(prompts, how, progress=progress))
        return [
            Completion(text="", finished=False, error=faults[place])
            if place in faults
            else self.completion(next(drawn))
            for place in range(len(chats))
        ]

    def completion(self, sampled: Sampled) -> Completion:
        """What was sampled, as text."""
        text = self.renderer.decode(sampled.tokens)
        return Completion(text=text, finished=sampled.finished, token_count=len(sampled.tokens))

    def sample(
        self, prompts: Sequence[Sequence[int]], how: Sampling, *, copies: int = 1, progress: Progress | None = None
    ) -> list[Sampled]:
        """`copies` continuations per prompt, prompt by prompt.

        Raises:
            DataError: when a prompt is empty or fills the model's context.
        """
        return generate(
            self.module,
            prompts,
            how,
            stop_ids=self.renderer.stop_ids,
            copies=copies,
            batch_size=self.batch_size,
            progress=progress,
        )

    def score(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """Log-probability of each continuation token of (prompt, continuation) rows, in nats at temperature 1.

        Neighbouring rows with the same prompt share its computation, and rows with different prompts what many begin with.

        Raises:
            DataError: when a prompt is empty, or a row is longer than the model's context.
        """
        for place, (prompt, continuation) in enumerate(rows):
            length = len(prompt) + len(continuation)
            if not len(prompt):
                raise DataError(
                    "a prompt without tokens", where=f"row {place}", hint="begin it with the tokenizer's first token"
                )
            if self.context_length is not None and length > self.context_length:
                raise DataError(
                    f"a row of {length} tokens is longer than the model's context of {self.context_length}",
                    where=f"row {place}",
                    hint="shorten it, or use a model with a longer context",
                )
        attach(self.module)
        model = unwrapped(self.module)
        affordable = LOGIT_BYTES // (4 * model.config.get_text_config().vocab_size)
        return _score_all(model, list(_grouped(rows)), min(SCORE_TOKENS, affordable))

    def _fitting(self, prompt: list[int]) -> list[int]:
        if self.context_length is not None and len(prompt) >= self.context_length:
            raise DataError(f"a prompt of {len(prompt)} tokens fills the model's context of {self.context_length}")
        return prompt


_Group = tuple[Sequence[int], list[Sequence[int]]]


def _grouped(rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Iterator[_Group]:
    group: _Group | None = None
    for prompt, continuation in rows:
        if group is not None and list(group[0]) == list(prompt):
            group[1].append(continuation)
            continue
        if group is not None:
            yield group
        group = (prompt, [continuation])
    if group is not None:
        yield group


@torch.no_grad()
def _score_all(model: Any, groups: Sequence[_Group], most_tokens: int) -> list[list[float]]:
    """The scores of all continuations, in order; what many prompts begin with is computed once."""
    found: list[list[list[float]]] = [[] for _ in groups]
    shared = shared_prefixes([prompt for prompt, _ in groups])
    grouped = {place for group in shared for place in group.places}
    alone = tuple(place for place in range(len(groups)) if place not in grouped)
    for length, places in [*((group.length, group.places) for group in shared), (0, alone)]:
        prefix = Prefix.of(model, groups[places[0]][0][:length]) if length else None
        rests = [(groups[place][0][length:], groups[place][1]) for place in places]
        scores = iter([one for batch in _batches(rests, most_tokens) for one in _score(model, batch, prefix)])
        for place in places:
            found[place] = [next(scores) for _ in groups[place][1]]
    return [one for scores in found for one in scores]


def _batches(groups: Iterable[_Group], most_tokens: int) -> Iterator[list[_Group]]:
    batch: list[_Group] = []
    tokens = 0
    for prompt, continuations in groups:
        size = len(prompt) + sum(map(len, continuations))
        if batch and tokens + size > most_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append((prompt, continuations))
        tokens += size
    if batch:
        yield batch


def _score(model: Any, groups: Sequence[_Group], prefix: Prefix | None) -> list[list[float]]:
    device = model.device
    trees = [(len(prompt), [len(one) for one in many]) for prompt, many in groups]
    row = Parts(((Segments.of(trees, device), prefix),))
    ids: list[int] = []
    predictors: list[int] = []
    for prompt, continuations in groups:
        last = len(ids) + len(prompt) - 1
        ids += prompt
        for continuation in continuations:
            # The prompt's last token predicts the first of every continuation.
            predictors += [last, *range(len(ids), len(ids) + len(continuation) - 1)][: len(continuation)]
            ids += continuation
    targets = torch.tensor(
        [token for _, many in groups for one in many for token in one], dtype=torch.int64, device=device
    )
    logits = model(
        input_ids=torch.tensor(ids, device=device)[None],
        position_ids=row.position_ids,
        slots=row,
        use_cache=False,
        logits_to_keep=torch.tensor(predictors, dtype=torch.int64, device=device),
    ).logits[0]
    flat = iter(logits.float().log_softmax(-1).gather(1, targets[:, None])[:, 0].tolist())
    return [[next(flat) for _ in one] for _, many in groups for one in many]


def load(
    path_or_id: str | Path,
    *,
    base: str | Path | None = None,
    dtype: torch.dtype | str = "auto",
    attention: bool = True,
    quantised: Quantised = "no",
) -> LocalModel:
    """The model and tokenizer in a folder, or behind a hub id, in evaluation mode.

    A folder may hold a peft adapter: it is merged into its `base`, by default the one that it names.
    `dtype` is a torch type or its name; "auto" takes what this machine is fast at (`choose_dtype`).
    `attention=False` leaves the model's own attention in place.

    Raises:
        ModelError: when there is no such model, its tokenizer is missing or does not fit it, or it cannot be packed; for an
            adapter also when its base is missing, is not the one that it was trained on, or is to be of 4 bits.
        MissingExtra: when 4-bit weights are asked for where they cannot be.
    """
    source = str(path_or_id)
    if is_adapter(Path(source)):
        if quantised != "no":
            hint = "load it as it is and save it, then load what was saved"
            raise ModelError("an adapter is merged into exact weights, not into rounded ones", where=source, hint=hint)
        return _load_adapter(Path(source), base, dtype=dtype, attention=attention)
    if base is not None:
        raise ModelError("a base was named for what is no adapter", where=source, hint="leave the base out")
    _refuse_missing(source)
    where = f"model {source!r}"
    kind = choose_dtype() if dtype == "auto" else _dtype(dtype)
    how: dict[str, Any] = {} if quantised == "no" else {"quantization_config": four_bits(kind)}
    try:
        with quietly():
            AutoConfig.from_pretrained(source)
            tokenizer = AutoTokenizer.from_pretrained(source)
            module: Any = AutoModelForCausalLM.from_pretrained(source, dtype=kind, **how)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise ModelError(
            f"the model cannot be loaded: {error}",
            where=where,
            hint="name a folder with config.json, weights and tokenizer.json, or a hub id that is reachable or cached",
        ) from error
    if torch.cuda.is_available() and not how:
        module = module.to("cuda")
    _refuse_mismatch(module, tokenizer, where)
    if attention:
        attach(module)
    renderer = Renderer(tokenizer, stop_ids=_stop_ids(module))
    return LocalModel(source, module.eval(), tokenizer, renderer, context_length(module))


def _load_adapter(folder: Path, base: str | Path | None, *, dtype: torch.dtype | str, attention: bool) -> LocalModel:
    named = named_base(folder) if base is None else str(base)
    model = load(named, dtype=dtype, attention=attention)
    adapted: Any = put_on(model.module, folder)
    tokenizer = model.tokenizer
    if any((folder / name).is_file() for name in TOKENIZER_FILES):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        refuse_tokenizer(tokenizer, model.tokenizer, folder)
    module = adapted.merge_and_unload().requires_grad_(True).eval()
    # The adapter's tokenizer may bring the chat template that it was trained with.
    renderer = Renderer(tokenizer, stop_ids=_stop_ids(module))
    return replace(model, name=str(folder), module=module, tokenizer=tokenizer, renderer=renderer)


def _refuse_missing(source: str) -> None:
    folder = Path(source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError("the folder holds no model: config.json is missing", where=source)
        if not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise ModelError(
                "the model folder has no tokenizer",
                where=source,
                hint="copy tokenizer.json and tokenizer_config.json of the model it was trained from into the folder",
            )
    refuse_missing(source)


def _refuse_mismatch(module: Any, tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    known, rows = len(tokenizer), module.get_input_embeddings().weight.shape[0]
    if known > rows:
        raise ModelError(
            f"the tokenizer knows {known} tokens, the model only {rows}",
            where=where,
            hint="this tokenizer belongs to another model, or the embeddings were not resized for added tokens",
        )


def _stop_ids(module: Any) -> list[int]:
    named = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    return [] if named is None else [named] if isinstance(named, int) else list(named)


def _dtype(name: torch.dtype | str) -> torch.dtype:
    kind = getattr(torch, name, None) if isinstance(name, str) else name
    if not isinstance(kind, torch.dtype):
        raise ModelError(f"{name!r} is no number type", hint='use "auto", "float32" or "bfloat16"')
    return kind


def save_model(module: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a plain Hugging Face folder; equal weights give equal bytes. Adapters are merged into a copy first."""
    model: Any = module
    if hasattr(module, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _forget_the_place(folder / "tokenizer_config.json")


def _forget_the_place(config: Path) -> None:
    """A tokenizer notes whether it was read from a folder; what is saved must not depend on that."""
    kept = {name: value for name, value in json.loads(config.read_text("utf-8")).items() if name not in PLACE_FIELDS}
    config.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


@contextmanager
def quietly() -> Iterator[None]:
    """Without the bars that transformers draws: alidade reports progress itself."""
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def choose_dtype() -> torch.dtype:
    """bf16 where this machine multiplies it faster than fp32, else fp32."""
    if torch.cuda.is_available():
        return torch.bfloat16
    capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if capable else torch.float32


def tune_allocator() -> None:
    """Keep freed memory for the next step instead of returning it to the system; does nothing but with glibc.

    On a CPU the first touch of fresh pages is an order of magnitude slower than memory that is mapped already.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8
    for option, value in ((trim_threshold, GIBIBYTE), (mmap_threshold, GIBIBYTE), (arena_max, 1)):
        library.mallopt(option, value)
