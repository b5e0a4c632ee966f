"""Reads and writes how well documents have served; transactions are the caller's."""

from datetime import datetime

from sqlalchemy import Connection, delete, select, true, update
from sqlalchemy.dialects.sqlite import insert

from .knowledge import DEFAULT_SCORE
from .model import Key
from .rating import Rating
from .schema import DocumentRow, RatingRow


def read(connection: Connection, key: Key | None = None) -> dict[Key, Rating]:
    """Return what is known of all documents that have a score, or of one."""
    wanted = true() if key is None else (DocumentRow.kind == key[0]) & (DocumentRow.source_id == key[1])
    rows = connection.execute(
        select(DocumentRow.kind, DocumentRow.source_id, DocumentRow.success_score, RatingRow.weight, RatingRow.rated)
        .outerjoin(RatingRow, RatingRow.document_id == DocumentRow.id)
        .where(DocumentRow.success_score.is_not(None), wanted)
    )
    return {(kind, source_id): Rating(score, weight or 0.0, rated) for kind, source_id, score, weight, rated in rows}


def judge(connection: Connection, key: Key, outcome: float, now: datetime) -> Rating | None:
    """Add a judgement (0-1) of a document and return what comes of it; None when there is no such document."""
    kind, source_id = key
    row = connection.execute(
        select(DocumentRow.id, DocumentRow.success_score, RatingRow.weight, RatingRow.rated)
        .outerjoin(RatingRow, RatingRow.document_id == DocumentRow.id)
        .where(DocumentRow.kind == kind, DocumentRow.source_id == source_id)
    ).one_or_none()
    if row is None:
        return None
    document_id, score, weight, rated = row
    rating = Rating(DEFAULT_SCORE if score is None else score, weight or 0.0, rated).judged(outcome, now)
    _put(connection, document_id, rating)
    return rating


def move(connection: Connection, from_id: int, to: Key) -> None:
    """Let a document have what was said of another."""
    kind, source_id = to
    to_id = select(DocumentRow.id).where(DocumentRow.kind == kind, DocumentRow.source_id == source_id)
    connection.execute(
        update(RatingRow).where(RatingRow.document_id == from_id).values(document_id=to_id.scalar_subquery())
    )


def forget(connection: Connection, document_id: int) -> None:
    """Drop how much was said of a document; its score stays."""
    connection.execute(delete(RatingRow).where(RatingRow.document_id == document_id))


def _put(connection: Connection, document_id: int, rating: Rating) -> None:
    values = {"weight": rating.weight, "rated": rating.rated}
    connection.execute(
        insert(RatingRow)
        .values(document_id=document_id, **values)
        .on_conflict_do_update(index_elements=[RatingRow.document_id], set_=values)
    )
    connection.execute(update(DocumentRow).where(DocumentRow.id == document_id).values(success_score=rating.score))
