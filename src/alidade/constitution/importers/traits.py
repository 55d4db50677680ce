"""Character in the first person: a list of traits, with questions that bring them out.

The questions are no field of a principle, and are counted as left.

Source: maiush/OpenCharacterTraining.
"""

from __future__ import annotations

from collections import Counter

from alidade.constitution.importers.imported import Given, Imported, fields_of, items_of, short_title, words_of
from alidade.constitution.principles import Principle

_HINT = 'a trait is {"trait": TEXT, "questions": [TEXT]}'


def read_traits(given: Given) -> Imported:
    """A principle of the kind `trait` for each.

    Raises:
        DataError: naming the place that is of another make.
    """
    left = Counter[str]()
    principles: list[Principle] = []
    for place, value in enumerate(items_of(given.json(), given.file, _HINT)):
        row = fields_of(value, given.at(place), _HINT)
        text = words_of(row.get("trait"), given.at(place, "trait")).strip()
        for name, field in row.items():
            if name != "trait":
                left[name] += len(field) if isinstance(field, list) else 1  # pyright: ignore[reportUnknownArgumentType]
        principles.append(Principle(id=f"trait{place + 1}", title=short_title(text), text=text, kind="trait"))
    return Imported(constitution=given.constitution(given.stem, principles), format="traits", left=dict(left))
