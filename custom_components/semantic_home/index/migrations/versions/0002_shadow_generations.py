"""Generations that are being removed, one at most of each other state, and their background vectors."""

from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STAMP = (
    "model_id",
    "revision",
    "precision",
    "pooling",
    "query_prefix",
    "passage_prefix",
    "template_version",
    "dimension",
)
_KEPT = sa.text("state != 'removed'")


def upgrade() -> None:
    """Rebuild the table of generations, whose constraints SQLite cannot alter, and add that of backgrounds."""
    op.create_table(
        "new_generation",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in _STAMP[:6]),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sa.CheckConstraint("state IN ('building', 'active', 'retired', 'removed')", name="ck_generation_state"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO new_generation SELECT * FROM generation")
    # The highest id that was ever given out, also to generations that are gone, must survive the table it belongs to.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'new_generation'")
    op.execute("UPDATE sqlite_sequence SET name = 'new_generation' WHERE name = 'generation'")
    op.drop_table("generation")
    op.rename_table("new_generation", "generation")
    op.create_index("uq_generation_stamp", "generation", _STAMP, unique=True, sqlite_where=_KEPT)
    op.create_index("uq_generation_state", "generation", ["state"], unique=True, sqlite_where=_KEPT)
    op.create_table(
        "background",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("sentences_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id", name="pk_background"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name="fk_background_generation_id", ondelete="CASCADE"
        ),
    )
