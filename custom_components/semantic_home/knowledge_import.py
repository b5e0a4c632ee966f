"""Brings a file's rows into the index beside the thread that answers: a hundred thousand take many seconds."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .index import ImportCounts, IndexStore, Key, Knowledge


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, and to which documents."""

    counts: ImportCounts
    keys: Sequence[Key]


def import_knowledge(path: Path, rows: Sequence[Knowledge], *, dry_run: bool) -> Imported:
    """Add all rows or none, or only count what that would do, in one transaction of a connection of its own.

    Blocking, in any thread. Who has the database open must have lent its writing. Raises StoreError.
    """
    with closing(IndexStore.open_again(path)) as store:
        counts = store.import_knowledge(rows, dry_run=dry_run)
    changed = not dry_run and (counts.added or counts.merged)
    return Imported(counts, list({row.key: None for row in rows}) if changed else [])
