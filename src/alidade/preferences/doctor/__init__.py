"""Is a file of preferences sound? `examine` looks for the known ways in which such files go wrong.

A check is a function from a `Sheet` to complaints; to add one, add it to `CHECKS` in `examine.py`.
"""

from alidade.preferences.doctor.complaint import Complaint
from alidade.preferences.doctor.examine import Examined, examine

__all__ = ["Complaint", "Examined", "examine"]
