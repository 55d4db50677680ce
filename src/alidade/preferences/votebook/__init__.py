"""Where people's votes are kept: acts in a chain that none can leave, tasks handed out by lease, and who the people are.

Reading order: `schema` (the tables), `database`, `chain`; `people`; `queues` (what is asked), `leases` (who is asked next), `casting`
(what was answered), `collect` (acts as records), `progress`.
"""

from alidade.preferences.votebook.database import Votebook, open_votebook

__all__ = ["Votebook", "open_votebook"]
