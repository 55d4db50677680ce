"""Constitutions in the formats of others, read as ours.

`FORMATS` is the table, one small module each; `import_constitution` tells the format by the content. What a format says
that has no place here is counted by field, never dropped in silence. The published principles come back as the same JSON
from `published`.
"""

from alidade.constitution.examples import Shots
from alidade.constitution.importers.formats import AUTO, FORMATS, format_of, import_constitution
from alidade.constitution.importers.imported import Imported
from alidade.constitution.importers.published import framed, published

__all__ = ["AUTO", "FORMATS", "Imported", "Shots", "format_of", "framed", "import_constitution", "published"]
