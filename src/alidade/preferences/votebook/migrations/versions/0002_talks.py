"""Where people's talks with models stand."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "talks",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_talks_person_id_people"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.id"], name="fk_talks_queue_id_queues"),
        sa.PrimaryKeyConstraint("person_id", "queue_id", name="pk_talks"),
    )
