"""A network's trunk over packed rows: the last hidden states at the places where they are read, and nowhere else.

The last layer's keys and values are needed at every token; all that comes after them only where a state is read: at the
tokens that predict a trained one, or at an answer's end. There it is left out elsewhere, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from alidade.errors import ModelError
from alidade.models.attention import attach, unwrapped
from alidade.training.packing import Packed

# Parts of a layer that see one token at a time, and whose output at a token reaches no state but that token's own.
LATE_PARTS = ("self_attn.q_proj", "self_attn.o_proj", "mlp")


def prepare(module: nn.Module, checkpointing: bool = False) -> nn.Module:
    """Switch `module` to packed attention and its dropout off; gradients do not need training mode.

    With `checkpointing`, a layer keeps its input only and is computed again in the backward pass; all but the last, whose
    turn comes at once.

    Source: Chen et al. 2016, arXiv 1604.06174.

    Raises:
        ModelError: when the architecture does not say what its layers are.
    """
    attach(module)
    model = unwrapped(module)
    if checkpointing and not _layers(model):
        raise ModelError(
            "the architecture does not say which of its parts can be computed again",
            where=type(model).__name__,
            hint="leave checkpointing off and lower tokens_at_once",
        )
    model.recomputes_layers = checkpointing
    return module.eval()


def hidden_states(module: nn.Module, packed: Packed, places: Int[Tensor, " places"]) -> Float[Tensor, "places width"]:
    """The trunk's last hidden states at `places` of a packed row; a place may be named more than once."""
    model = unwrapped(module)
    layers = _layers(model)
    read = places.unique()
    with _replaced(_recomputing(model, layers)), _replaced(_thinned(layers[-1:], read)):
        out = model.base_model(
            input_ids=packed.ids[None],
            position_ids=packed.segments.position_ids,
            segments=packed.segments,
            use_cache=False,
        )
    return out.last_hidden_state[0].index_select(0, places)


def layer_count(module: nn.Module) -> int:
    """Layers of the trunk that can be computed again."""
    return len(_layers(unwrapped(module)))


Forward = Callable[..., Any]


def _layers(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]


def _recomputing(model: nn.Module, layers: Sequence[nn.Module]) -> list[tuple[nn.Module, Forward]]:
    """Layers that keep nothing but their input for the backward pass.

    transformers' own switch works in training mode only, which would bring dropout back.
    """
    if not getattr(model, "recomputes_layers", False):
        return []
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    return [(layer, partial(again, layer.forward)) for layer in layers[:-1]]


def _thinned(layers: Sequence[nn.Module], read: Tensor) -> list[tuple[nn.Module, Forward]]:
    """The late parts of the last layer, working at the places `read` only."""
    parts = [attrgetter(name)(layer) for layer in layers for name in LATE_PARTS if _has(layer, name)]
    return [(part, partial(_at, part.forward, read)) for part in parts]


def _has(layer: nn.Module, name: str) -> bool:
    try:
        return isinstance(attrgetter(name)(layer), nn.Module)
    except AttributeError:
        return False


def _at(forward: Forward, read: Tensor, states: Tensor) -> Any:
    """`forward` of the states [1, tokens, width] at `read`, and zeros elsewhere."""
    found = forward(states.index_select(1, read))
    return found.new_zeros(1, states.shape[1], found.shape[-1]).index_copy(1, read, found)


@contextmanager
def _replaced(forwards: Sequence[tuple[nn.Module, Forward]]) -> Iterator[None]:
    """Modules with other forwards for a while."""
    own = [vars(module).get("forward") for module, _ in forwards]  # accelerate puts one on layers of quantised weights
    for module, forward in forwards:
        module.forward = forward
    try:
        yield
    finally:
        for (module, _), forward in zip(forwards, own, strict=True):
            if forward is None:
                del module.forward
            else:
                module.forward = forward
