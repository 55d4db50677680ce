"""Frozen weights of four bits, for adapters on a GPU (QLoRA); importing this loads nothing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from alidade.errors import MissingExtra

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig

Quantised = Literal["no", "4bit"]


def refuse_without_bitsandbytes() -> None:
    """Four-bit weights need a package.

    Raises:
        MissingExtra: when it is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise MissingExtra(
            "weights of 4 bits need the package bitsandbytes",
            where="quantised: 4bit",
            hint="pip install bitsandbytes on a machine with an NVIDIA GPU, or set quantised to no",
        )


def four_bits(dtype: torch.dtype) -> BitsAndBytesConfig:
    """How transformers is to load weights as 4-bit normal floats, multiplied in `dtype`.

    Source: Dettmers et al. 2023, arXiv 2305.14314.

    Raises:
        MissingExtra: without bitsandbytes, or without a GPU.
    """
    import torch
    from transformers import BitsAndBytesConfig

    refuse_without_bitsandbytes()
    if not torch.cuda.is_available():
        raise MissingExtra(
            "weights of 4 bits need an NVIDIA GPU, and torch sees none",
            where="quantised: 4bit",
            hint="set quantised to no",
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
