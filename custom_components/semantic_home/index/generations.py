"""Moves generations from state to state over a connection; transactions are the caller's.

Nothing here deletes vectors. A generation that goes is only marked, so that a change of state is as quick with a
hundred thousand vectors as with none; space.py does the rest.
"""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from .model import Generation, GenerationState, NoPreviousGenerationError, Stamp, UnknownGenerationError
from .schema import STAMP_COLUMNS, GenerationRow

_TABLE = GenerationRow.__table__
_KEPT = _TABLE.c.state != GenerationState.REMOVED


def get(connection: Connection, generation_id: int) -> Generation:
    """Return the generation; raises UnknownGenerationError."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == generation_id, _KEPT)).mappings().one_or_none()
    if row is None:
        raise UnknownGenerationError(f"There is no generation {generation_id}")
    return _generation(row)


def every(connection: Connection) -> list[Generation]:
    """Return all that are there, oldest first."""
    return [_generation(row) for row in connection.execute(select(_TABLE).where(_KEPT).order_by("id")).mappings()]


def in_state(connection: Connection, state: GenerationState) -> Generation | None:
    """Return the one generation of a state other than removed."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.state == state)).mappings().one_or_none()
    return None if row is None else _generation(row)


def prepare(connection: Connection, stamp: Stamp) -> Generation:
    """Return the generation of this stamp, in the state that it can have now; see IndexStore.prepare."""
    chosen = _find(connection, stamp)
    active = in_state(connection, GenerationState.ACTIVE)
    building = in_state(connection, GenerationState.BUILDING)
    if building is not None and building != chosen:
        remove(connection, building)
    if chosen is None:
        state = GenerationState.ACTIVE if active is None else GenerationState.BUILDING
        return get(connection, _create(connection, stamp, state))
    if active is None:
        _set_state(connection, chosen, GenerationState.ACTIVE)
    elif chosen.state is GenerationState.RETIRED:
        _set_state(connection, chosen, GenerationState.BUILDING)
    return get(connection, chosen.id)


def promote(connection: Connection, generation: Generation) -> None:
    """Make the generation the active one; keep the last one of another model for a way back, and no older one.

    One of the same model, of a home that was described in another way, is no way back, and leaves that which is one.
    """
    former = in_state(connection, GenerationState.ACTIVE)
    retired = in_state(connection, GenerationState.RETIRED)
    # From the last to the first, for there may never be two in one state.
    if former is not None and former.stamp.makes_vectors_of(generation.stamp):
        remove(connection, former)
    else:
        if retired is not None:
            remove(connection, retired)
        if former is not None:
            _set_state(connection, former, GenerationState.RETIRED)
    _set_state(connection, generation, GenerationState.ACTIVE)


def roll_back(connection: Connection) -> Generation:
    """Let the active and the retired generation change places; raises NoPreviousGenerationError."""
    retired = in_state(connection, GenerationState.RETIRED)
    if retired is None:
        raise NoPreviousGenerationError("There is no previous generation")
    # Marked removed on the way, which promote() undoes: it is not the older one.
    promote(connection, retired)
    return get(connection, retired.id)


def remove(connection: Connection, generation: Generation) -> None:
    """Give the generation up; its vectors are out of reach from here on."""
    _set_state(connection, generation, GenerationState.REMOVED)


def _find(connection: Connection, stamp: Stamp) -> Generation | None:
    matches = and_(_KEPT, *(_TABLE.c[name] == value for name, value in asdict(stamp).items()))
    row = connection.execute(select(_TABLE).where(matches)).mappings().one_or_none()
    return None if row is None else _generation(row)


def _create(connection: Connection, stamp: Stamp, state: GenerationState) -> int:
    values = asdict(stamp) | {"state": state, "created": datetime.now(UTC)}
    return connection.execute(insert(GenerationRow).values(values).returning(GenerationRow.id)).scalar_one()


def _set_state(connection: Connection, generation: Generation, state: GenerationState) -> None:
    connection.execute(update(GenerationRow).where(GenerationRow.id == generation.id).values(state=state))


def _generation(values: RowMapping) -> Generation:
    return Generation(
        id=values["id"],
        stamp=Stamp(**{name: values[name] for name in STAMP_COLUMNS}),
        state=values["state"],
        created=values["created"],
    )
