"""The two who answer in a talk, opened by their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alidade.cli.folders import model_place
from alidade.errors import UsageError

if TYPE_CHECKING:
    from alidade.models.base import Sampling
    from alidade.preferences.partners import Partners


def open_partners(names: tuple[str, str], hows: tuple[Sampling, Sampling], run: Path | None) -> Partners:
    """Two models, or one drawn from in two ways: one that is named twice is opened once.

    Raises:
        UsageError: when the two could only ever say the same.
    """
    from alidade.models import open_model
    from alidade.models.identity import model_digest
    from alidade.preferences.partners import Partner, Partners

    places = [model_place(name, run) for name in names]
    if places[0] == places[1] and not any(how.temperature for how in hows):
        raise UsageError("one model at temperature 0 always says the same", hint="give a --temperature, or --right")
    opened = {place: open_model(place) for place in dict.fromkeys(places)}
    digests = {place: model_digest(place) for place in opened}
    left, right = (
        Partner(opened[place], _shown(name, opened[place].name), digests[place], how)
        for name, place, how in zip(names, places, hows, strict=True)
    )
    return Partners(left, right)


def _shown(name: str, own: str) -> str:
    """What a model was called on the command line; an endpoint by its own name, as its address may hold a password."""
    return own if "://" in name else name
