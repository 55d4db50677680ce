"""Constitutional AI: principles as a document, critiques and revisions by them, comparisons by them, and the ledger of it all.

Reading order: `principles` (the records), `document` (the file), `lint`, `difference` (two versions), `importers`,
`wording` (how a model is asked), `revise` and `prefer` (the two halves of the method), `judges`, `ledger` (the way back);
of what they leave, `opinions`, then `coverage`, `ablation`, `conflicts`, `label_difference`; `markers`, `drift`.
"""

from alidade.constitution.document import find_constitution, read_constitution, shipped, write_constitution
from alidade.constitution.principles import (
    Change,
    Constitution,
    Example,
    Examples,
    Origin,
    Principle,
    Requests,
    Scope,
    Tier,
)

__all__ = [
    "Change",
    "Constitution",
    "Example",
    "Examples",
    "Origin",
    "Principle",
    "Requests",
    "Scope",
    "Tier",
    "find_constitution",
    "read_constitution",
    "shipped",
    "write_constitution",
]
