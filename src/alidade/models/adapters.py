"""Adapter folders as peft writes them: read onto a base and checked against it, and written.

A folder names its base in adapter_config.json; one written here names it by digest instead, in alidade-adapter.json, as a
path would change its bytes.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from alidade.errors import ModelError

CONFIG_NAME = "adapter_config.json"
WEIGHT_NAMES = ("adapter_model.safetensors", "adapter_model.bin")
BASE_NAME = "alidade-adapter.json"
DAMAGED = "copy the whole folder again, as peft's save_pretrained wrote it"
HEAD_KEY = "base_model.model.score.weight"
EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "embed_in.weight", "embed_out.weight")


def is_adapter(folder: Path) -> bool:
    """Whether `folder` holds an adapter and no whole model."""
    return (folder / CONFIG_NAME).is_file() and not (folder / "config.json").is_file()


def base_digest(folder: Path) -> str | None:
    """The digest of the base that an adapter written here belongs to; None where it is not known."""
    path = folder / BASE_NAME
    return json.loads(path.read_text("utf-8"))["base"] if path.is_file() else None


def named_base(folder: Path) -> str:
    """The base that an adapter folder names: a folder (relative ones are looked for beside the adapter too) or a hub id.

    Raises:
        ModelError: when it names none, or a folder that does not exist.
    """
    named = _settings(folder).get("base_model_name_or_path")
    hint = "name the base model's folder beside the adapter's (`base=...`)"
    if not named:
        digest = base_digest(folder)
        known = f" (its digest is {digest[:12]})" if digest else ""
        raise ModelError(f"the adapter does not say which model it belongs to{known}", where=str(folder), hint=hint)
    for place in (Path(named), folder / named):
        if place.is_dir():
            return str(place)
    if Path(named).is_absolute() or named.startswith((".", "~")) or named.count("/") > 1:
        raise ModelError(f"the adapter's base {named!r} does not exist", where=str(folder / CONFIG_NAME), hint=hint)
    return named


def put_on(module: nn.Module, folder: Path) -> nn.Module:
    """`module`, frozen, with the adapter in `folder`; the adapter, and a saved head of a classifier, can be trained further.

    Raises:
        ModelError: when the adapter cannot be read or does not fit: another architecture, another vocabulary.
    """
    import peft

    tensors = _tensors(folder)
    _refuse_resized(module, tensors, folder)
    head = getattr(module, "score", None)
    saved_head = tensors.pop(HEAD_KEY, None) if head is not None else None
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
        if getattr(config, "is_prompt_learning", False):
            raise ModelError(
                "adapters that are prompts cannot be used, only those on weights",
                where=str(folder),
                hint="train an adapter of another kind, such as LoRA",
            )
        config.inference_mode = False  # the folder says it is for use, which would freeze the adapter too
        if head is not None:
            # With a task peft would wrap the head and keep a second one.
            config.task_type = config.modules_to_save = None  # pyright: ignore[reportAttributeAccessIssue]
            config.exclude_modules = ["score"]  # pyright: ignore[reportAttributeAccessIssue]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft's advice to whoever trains
            adapted = peft.get_peft_model(module, config, autocast_adapter_dtype=False)  # pyright: ignore[reportArgumentType]
            peft.set_peft_model_state_dict(adapted, tensors)
            expected = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _misfit(module, folder, str(error)) from error
    for name in sorted(expected.keys() ^ tensors.keys()):
        raise _misfit(module, folder, f"the model has no {name}" if name in tensors else f"no weights for {name}")
    if saved_head is not None:
        _set_head(head, saved_head, folder)
    return adapted


def save_adapter(module: nn.Module, folder: Path, base: str) -> None:
    """Write the adapters of `module`, and a classifier's head, as peft reads them; equal weights give equal bytes.

    `base` is the digest of the model they were trained on.
    """
    import peft

    adapted: Any = module
    tensors = dict(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
    settings = adapted.peft_config["default"].to_dict()
    settings |= {"base_model_name_or_path": None, "inference_mode": True, "task_type": "CAUSAL_LM"}
    head = getattr(adapted.get_base_model(), "score", None)
    if head is not None:
        tensors[HEAD_KEY] = head.weight
        settings |= {"modules_to_save": ["score"], "task_type": "SEQ_CLS"}
    settings = {name: sorted(value) if isinstance(value, set) else value for name, value in settings.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}, folder / WEIGHT_NAMES[0])
    for name, value in ((CONFIG_NAME, settings), (BASE_NAME, {"base": base})):
        (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")


def refuse_tokenizer(adapter: Any, base: Any, folder: Path) -> None:
    """An adapter that comes with a tokenizer was trained on its tokens.

    Raises:
        ModelError: when the base's tokenizer has other tokens.
    """
    theirs, ours = adapter.get_vocab(), base.get_vocab()
    if theirs == ours:
        return
    differ = sum(ours.get(token) != place for token, place in theirs.items()) or len(ours) - len(theirs)
    raise ModelError(
        f"the adapter's tokenizer is not its base's: {differ} tokens differ ({len(theirs)} and {len(ours)} tokens)",
        where=str(folder),
        hint="name the base that the adapter was trained on; where tokens were added, save the base with its grown embeddings",
    )


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the adapter's settings cannot be read: {error}", where=str(path), hint=DAMAGED) from error
    if not isinstance(found, dict):
        raise ModelError("the adapter's settings are no JSON object", where=str(path), hint=DAMAGED)
    return found


def _tensors(folder: Path) -> dict[str, Tensor]:
    import peft

    _settings(folder)
    if not any((folder / name).is_file() for name in WEIGHT_NAMES):
        raise ModelError(f"the adapter has no weights: {WEIGHT_NAMES[0]} is missing", where=str(folder), hint=DAMAGED)
    try:
        return peft.load_peft_weights(str(folder), device="cpu")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the adapter's weights cannot be read: {error}", where=str(folder), hint=DAMAGED) from error


def _refuse_resized(module: Any, tensors: dict[str, Tensor], folder: Path) -> None:
    rows = module.get_input_embeddings().weight.shape[0]
    for name, tensor in tensors.items():
        if name.endswith(EMBEDDINGS) and tensor.shape[0] != rows:
            raise ModelError(
                f"the vocabulary was resized: the adapter's {name.rpartition('model.')[2]} has {tensor.shape[0]} tokens, "
                f"its base {rows}",
                where=str(folder),
                hint=f"resize the base to {tensor.shape[0]} tokens (resize_token_embeddings) and save it with its tokenizer",
            )


def _misfit(module: nn.Module, folder: Path, why: str) -> ModelError:
    first = " ".join(why.split())
    return ModelError(
        f"the adapter does not fit {type(module).__name__}: {first[:300]}",
        where=str(folder),
        hint="an adapter fits only the architecture and the size it was trained on; name that base",
    )


def _set_head(head: Any, saved: Tensor, folder: Path) -> None:
    if head.weight.shape != saved.shape:
        shapes = f"{tuple(saved.shape)}, the model's {tuple(head.weight.shape)}"
        raise ModelError(
            f"the adapter's head has the shape {shapes}", where=str(folder), hint="name the base it is for"
        )
    with torch.no_grad():
        head.weight.copy_(saved)
    head.requires_grad_(True)
