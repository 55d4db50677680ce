"""Items of known answer found without reading all others."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_items_queue_id_arm_place", "items", ["queue_id", "arm", "place"])
