"""The arm `uncertain` of a queue, put in order by a scorer; which items are in it was drawn when the queue was made."""

from __future__ import annotations

import sqlalchemy as sa

from alidade.digest import digest_of
from alidade.errors import UsageError
from alidade.preferences.arms import Measure, Scores, doubts, least_sure_first
from alidade.preferences.votebook.chain import append
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.queues import Content, queue_named
from alidade.preferences.votebook.schema import items

# Held while they are put in order, by item, as all do who take several, lest two wait for each other.
_UNTOUCHED = (
    sa.select(items.c.id, items.c.key, items.c.place, items.c.content)
    .where(items.c.queue_id == sa.bindparam("queue"), items.c.arm == "uncertain", items.c.taken == 0)
    .order_by(items.c.id)
    .with_for_update()
)
_MOVE = items.update().where(items.c.id == sa.bindparam("item")).values(place=sa.bindparam("to"))


def order_uncertain(book: Votebook, queue: str, scores: Scores, measure: Measure, by: str = "") -> int:
    """Hand out first, of the items in the arm `uncertain` that nobody has yet, those the scorer is least sure of; how many they are.

    They share the places they had, so the two arms stay mixed by chance. What was done becomes an event of the chain.

    Raises:
        NotFound: when there is no queue of that name.
        UsageError: when no item is left to be put in order.
        DataError: when the scores do not fit the items.
    """
    number, _ = queue_named(book, queue)
    with book.writing() as connection:
        rows = connection.execute(_UNTOUCHED, {"queue": number}).all()
        if not rows:
            hint = "make the queue with --set uncertain_share=0.5: arms are drawn before anything is scored"
            raise UsageError(f"the queue {queue} has no item in the arm `uncertain` that waits", hint=hint)
        contents = {row.key: Content.model_validate(row.content) for row in rows}
        asked = {key: (each.prompt_id, [answer.number for answer in each.answers]) for key, each in contents.items()}
        unsure = doubts(scores, asked, measure)
        by_place = sorted(rows, key=lambda row: row.place)
        ordered = least_sure_first([row.key for row in by_place], unsure)
        ids = {row.key: row.id for row in rows}
        moved = [{"item": ids[key], "to": row.place} for key, row in zip(ordered, by_place, strict=True)]
        connection.execute(_MOVE, moved)
        body = {"queue": queue, "measure": measure, "items": len(rows), "scores": digest_of(dict(scores))}
        append(connection, book.now(), "order-arm", by, body)
    return len(rows)
