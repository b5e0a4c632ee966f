"""Documents, their views, and generations of vectors."""

from alembic import op
import sqlalchemy as sa

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_documents()
    _create_generations()


def _create_documents() -> None:
    op.create_table(
        "document",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("knowledge_type", sa.String(), nullable=True),
        sa.Column("success_score", sa.Float(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("updated", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("kind", "source_id", name="uq_document_kind_source_id"),
    )
    op.create_table(
        "view",
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "position", name="pk_view"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_view_document_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_view_text_hash", "view", ["text_hash"])


def _create_generations() -> None:
    stamp = ("model_id", "revision", "precision", "pooling", "query_prefix", "passage_prefix")
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in stamp),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sa.UniqueConstraint(*stamp, "template_version", "dimension", name="uq_generation_stamp"),
        sa.CheckConstraint("state IN ('building', 'active', 'retired')", name="ck_generation_state"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_generation_active", "generation", ["state"], unique=True, sqlite_where=sa.text("state = 'active'")
    )
    op.create_table(
        "vector",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("dense", sa.LargeBinary(), nullable=False),
        sa.Column("sparse", sa.LargeBinary(), nullable=True),
        sa.Column("multivector", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("generation_id", "text_hash", name="pk_vector"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name="fk_vector_generation_id", ondelete="CASCADE"
        ),
    )
