"""The first tables: acts in a chain, people, and the work that is handed out."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and an empty chain."""
    _acts()
    _people()
    _queues()
    _leases()


def _acts() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
    )
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
    )
    op.execute("INSERT INTO head (id, seq, hash) VALUES (1, 0, '" + "0" * 64 + "')")


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.Float(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("sees_harmful", sa.Boolean(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("name", name="uq_people_name"),
    )
    op.create_table(
        "invitations",
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("used_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["used_by"], ["people.id"], name="fk_invitations_used_by_people"),
        sa.PrimaryKeyConstraint("secret", name="pk_invitations"),
    )
    op.create_table(
        "keys",
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_keys_person_id_people"),
        sa.PrimaryKeyConstraint("secret", name="pk_keys"),
    )
    op.create_index("ix_keys_person_id", "keys", ["person_id"], unique=False)


def _queues() -> None:
    op.create_table(
        "guidelines",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_guidelines"),
        sa.UniqueConstraint("version", name="uq_guidelines_version"),
    )
    op.create_table(
        "queues",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("guideline", sa.String(length=64), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["guideline"], ["guidelines.id"], name="fk_queues_guideline_guidelines"),
        sa.PrimaryKeyConstraint("id", name="pk_queues"),
        sa.UniqueConstraint("name", name="uq_queues_name"),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("gold", sa.JSON(), nullable=True),
        sa.CheckConstraint("taken >= 0 AND taken <= target", name="ck_items_never_over_assigned"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.id"], name="fk_items_queue_id_queues"),
        sa.PrimaryKeyConstraint("id", name="pk_items"),
        sa.UniqueConstraint("queue_id", "key", name="uq_items_queue_id_key"),
    )
    op.create_index(
        "ix_items_waiting",
        "items",
        ["queue_id", "place"],
        unique=False,
        sqlite_where=sa.text("taken < target"),
        postgresql_where=sa.text("taken < target"),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("guideline", sa.String(length=64), nullable=False),
        sa.Column("shown_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("draft", sa.JSON(), nullable=True),
        sa.Column("event", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["event"], ["events.seq"], name="fk_leases_event_events"),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name="fk_leases_item_id_items"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_leases_person_id_people"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.id"], name="fk_leases_queue_id_queues"),
        sa.PrimaryKeyConstraint("id", name="pk_leases"),
        sa.UniqueConstraint("item_id", "person_id", "purpose", name="uq_leases_item_id_person_id_purpose"),
    )
    op.create_index("ix_leases_person_id_queue_id_state", "leases", ["person_id", "queue_id", "state"], unique=False)
    op.create_index("ix_leases_state_expires_at", "leases", ["state", "expires_at"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["events.seq"], name="fk_receipts_event_events"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_receipts_person_id_people"),
        sa.PrimaryKeyConstraint("person_id", "key", name="pk_receipts"),
    )
