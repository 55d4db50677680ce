"""Preference data in the formats others use, both ways: read a file as records, write records as another's file.

`FORMATS` is the table of formats; `convert` goes from one file to another. What a format has no place for is counted by
field, never dropped in silence.
"""

from alidade.preferences.interchange.bundle import Preferences, Written
from alidade.preferences.interchange.formats import FORMATS, Interchange, convert, read_preferences, write_preferences

__all__ = ["FORMATS", "Interchange", "Preferences", "Written", "convert", "read_preferences", "write_preferences"]
