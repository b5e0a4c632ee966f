"""Reads and swaps generations over a connection; transactions are the caller's."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, and_, delete, insert, select, update

from .model import Generation, GenerationState, Stamp, UnknownGenerationError
from .schema import GenerationRow

_TABLE = GenerationRow.__table__
_STAMP = Stamp.__slots__


def get(connection: Connection, generation_id: int) -> Generation:
    """Return the generation; raises UnknownGenerationError."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == generation_id)).mappings().one_or_none()
    if row is None:
        raise UnknownGenerationError(f"There is no generation {generation_id}")
    return _generation(row)


def active(connection: Connection) -> Generation | None:
    """Return the generation that answers queries."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.state == GenerationState.ACTIVE)).mappings().one_or_none()
    return None if row is None else _generation(row)


def activate(connection: Connection, stamp: Stamp) -> Generation:
    """Make the generation of this stamp the active one; keep the former for a way back, and no older one."""
    former = active(connection)
    if former is not None and former.stamp == stamp:
        return former
    if former is not None:
        # First, for there may never be two.
        _set_state(connection, former.id, GenerationState.RETIRED)
    chosen = _find(connection, stamp)
    if chosen is None:
        chosen = _create(connection, stamp)
    _set_state(connection, chosen, GenerationState.ACTIVE)
    connection.execute(
        delete(GenerationRow).where(
            GenerationRow.state == GenerationState.RETIRED,
            GenerationRow.id != (chosen if former is None else former.id),
        )
    )
    return get(connection, chosen)


def _find(connection: Connection, stamp: Stamp) -> int | None:
    matches = and_(*(_TABLE.c[name] == value for name, value in asdict(stamp).items()))
    return connection.execute(select(GenerationRow.id).where(matches)).scalar_one_or_none()


def _create(connection: Connection, stamp: Stamp) -> int:
    values = asdict(stamp) | {"state": GenerationState.BUILDING, "created": datetime.now(UTC)}
    return connection.execute(insert(GenerationRow).values(values).returning(GenerationRow.id)).scalar_one()


def _set_state(connection: Connection, generation_id: int, state: GenerationState) -> None:
    connection.execute(update(GenerationRow).where(GenerationRow.id == generation_id).values(state=state))


def _generation(values: RowMapping) -> Generation:
    return Generation(
        id=values["id"],
        stamp=Stamp(**{name: values[name] for name in _STAMP}),
        state=values["state"],
        created=values["created"],
    )
