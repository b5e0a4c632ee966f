"""The tables. A change here needs a migration beside it; the tests compare the two."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import override

from sqlalchemy import (
    JSON,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator

from .model import GenerationState, JsonValue, Stamp

STAMP_COLUMNS = tuple(field.name for field in fields(Stamp))


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, which SQLite would hand back without their zone."""

    impl = DateTime
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The models' common base, which names every constraint, so that migrations can refer to it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class DocumentRow(Base):
    """A document without its views."""

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("kind", "source_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    source_id: Mapped[str]
    # Declarative models have a `metadata` of their own.
    metadata_: Mapped[Mapping[str, JsonValue]] = mapped_column("metadata", JSON)
    knowledge_type: Mapped[str | None]
    success_score: Mapped[float | None]
    language: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    updated: Mapped[datetime] = mapped_column(UtcDateTime)


class RatingRow(Base):
    """How much was said of how well a document serves, in successes, and when last; the score is in the document."""

    __tablename__ = "rating"

    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    weight: Mapped[float]
    rated: Mapped[datetime] = mapped_column(UtcDateTime)


class ViewRow(Base):
    """A text that stands for a document, with the hash (SHA-256 of its UTF-8) under which its vectors are found."""

    __tablename__ = "view"
    # Short rows always read a document at a time: without a rowid they lie together.
    __table_args__ = ({"sqlite_with_rowid": False},)

    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    text_hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)


class GenerationRow(Base):
    """A generation of vectors: one at most of each state and stamp, those aside whose vectors are being deleted."""

    __tablename__ = "generation"
    __table_args__ = (
        Index("uq_generation_stamp", *STAMP_COLUMNS, unique=True, sqlite_where=text("state != 'removed'")),
        Index("uq_generation_state", "state", unique=True, sqlite_where=text("state != 'removed'")),
        # An id must never come back: vectors still being computed for a removed generation would end up in the new one.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[str]
    revision: Mapped[str]
    precision: Mapped[str]
    pooling: Mapped[str]
    query_prefix: Mapped[str]
    passage_prefix: Mapped[str]
    template_version: Mapped[int]
    dimension: Mapped[int]
    state: Mapped[GenerationState] = mapped_column(
        Enum(
            GenerationState,
            values_callable=lambda states: [state.value for state in states],
            name="state",
            native_enum=False,
            create_constraint=True,
            length=8,
        )
    )
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class VectorRow(Base):
    """What a generation's model made of one text. Dense: little-endian float32.

    Sparse and multivector, as heads.py writes them, are those of a model that has such heads.

    The table keeps its rowid. With vectors of 4 KB in the primary key's own tree, finding the texts that have none
    means walking through the vectors: measured at 50,000, 30 times slower than with the separate narrow key index,
    inserting 2.5 times slower, and nothing saved on disk.
    """

    __tablename__ = "vector"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    dense: Mapped[bytes]
    sparse: Mapped[bytes | None]
    multivector: Mapped[bytes | None]


class BackgroundRow(Base):
    """What a generation's model made of the background sentences, all in one row because they are read together.

    Vectors: little-endian float32, (sentences, dimension). Sparse and multivector: each sentence's, joined by heads.py.
    """

    __tablename__ = "background"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    sentences_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    vectors: Mapped[bytes]
    sparse: Mapped[bytes | None]
    multivector: Mapped[bytes | None]
