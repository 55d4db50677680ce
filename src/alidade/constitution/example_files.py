"""Few-shot examples read from a file: the published JSON, or a YAML or JSON of one's own.

::

    critiques:
    - {prompt: "How do I ...?", answer: ..., critique_request: ..., critique: ..., revision_request: ..., revision: ...}
    comparisons:
    - {prompt: "How do I ...?", corrects: [...], incorrects: [...]}
    thoughts:
    - {prompt: "How do I ...?", first: ..., second: ..., thought: ..., choice: A}

A file that `alidade constitution import --shots` wrote is one of these.
"""

from __future__ import annotations

from pathlib import Path

from alidade.constitution.document import text_of
from alidade.constitution.examples import Shots, named_talks
from alidade.constitution.importers.imported import Given
from alidade.constitution.importers.published import CHOICE_SHOTS, PAIR_SHOTS, THOUGHT_SHOTS, read_published_shots
from alidade.errors import DataError
from alidade.store.rows import valid_record
from alidade.yaml_source import read_source

_HINT = "examples stand under `critiques:`, `comparisons:` or `thoughts:`"


def read_shots(path: Path) -> Shots:
    """The examples in a file, each of which can be shown.

    Raises:
        DataError: with the file and the example at fault, or when there is none.
    """
    text = text_of(path)
    if any(f'"{name}"' in text for name in (PAIR_SHOTS, CHOICE_SHOTS, THOUGHT_SHOTS)):
        found = read_published_shots(Given(text=text, file=str(path), stem=path.stem))
    else:
        source = read_source(text, str(path), noun="file of examples", hint=_HINT, error=DataError)
        found = valid_record(source.tree, Shots, str(path))
    try:
        talks = list(named_talks(found))
    except DataError as error:
        raise DataError(error.what, where=f"{path} ({error.where})", hint=error.hint) from error
    if not talks:
        raise DataError("there is no example in this file", where=str(path), hint=_HINT)
    return found
