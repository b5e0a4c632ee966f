"""What a model's other heads say of the background sentences."""

from alembic import op
import sqlalchemy as sa

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; backgrounds that are there keep their vectors alone."""
    for name in ("sparse", "multivector"):
        op.add_column("background", sa.Column(name, sa.LargeBinary(), nullable=True))
