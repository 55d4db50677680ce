"""Where the pilot model lies: a plain Hugging Face folder inside the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alidade.errors import ModelError

NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def pilot_folder() -> Path:
    """The folder of the shipped pilot.

    Raises:
        ModelError: when the weights are missing from the installation.
    """
    folder = Path(str(files("alidade.testbed").joinpath("pilot_model")))
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"the pilot model is incomplete: {', '.join(missing)} missing",
            where=str(folder),
            hint="reinstall alidade, or train it: `alidade run pilot`",
        )
    return folder
