"""Opens the files that knowledge comes from and goes to: which ones may be, of what kind they are, how much is read.

Everything here blocks.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Final

from .index import BadRow, Knowledge, NoKnowledgeTableError, StoreError, read_ancestor, read_jsonl, write_jsonl

MAX_ROWS: Final = 100_000
MAX_MEGABYTES: Final = 100
MAX_ERRORS: Final = 50

_SQLITE_MAGIC = b"SQLite format 3\x00"
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 1 << 16
_SUFFIX = ".jsonl"


class KnowledgeFileError(Exception):
    """A file that the user named cannot be used; `problem` is the key of the text that says why."""

    def __init__(self, problem: str, path: str, detail: str = "") -> None:
        """Take the problem, the path, and what the system said."""
        super().__init__(problem, path, detail)
        self.problem = problem
        self.placeholders = {
            "path": path,
            "detail": detail,
            "rows": f"{MAX_ROWS:,}",
            "megabytes": str(MAX_MEGABYTES),
        }


@dataclass(slots=True)
class Collected:
    """What a file says: rows that can be imported, how many others there are, and what is wrong with the first."""

    rows: list[Knowledge] = field(default_factory=list)
    skipped: int = 0
    errors: list[BadRow] = field(default_factory=list)


def read_knowledge(config_dir: str, path: str, is_allowed: Callable[[str], bool]) -> Collected:
    """Read all of a file below the configuration directory, or where `is_allowed` says so.

    Raises KnowledgeFileError.
    """
    file = _resolved(config_dir, path)
    try:
        if not _is_below(file, config_dir) and not is_allowed(str(file)):
            raise KnowledgeFileError("import_path_not_allowed", path)
        if not file.exists():
            raise KnowledgeFileError("import_file_missing", path)
        if not file.is_file():
            raise KnowledgeFileError("import_not_a_file", path)
        # An SQLite connection that the garbage collector closes would be closed in another thread.
        with closing(_reader(file, path)) as found:
            return _collect(found, path)
    except NoKnowledgeTableError as err:
        raise KnowledgeFileError("import_no_table", path) from err
    except (OSError, StoreError) as err:
        raise KnowledgeFileError("import_file_unreadable", path, str(err)) from err


def write_knowledge(config_dir: str, path: str, rows: list[Knowledge], *, overwrite: bool) -> Path:
    """Write the rows, whole or not at all, to a file below the configuration directory; return where it is.

    Raises KnowledgeFileError.
    """
    file = _resolved(config_dir, path)
    if not _is_below(file, config_dir):
        raise KnowledgeFileError("export_path_not_allowed", path)
    # With `overwrite`, a slip must not cost the configuration or a database.
    if file.suffix != _SUFFIX:
        raise KnowledgeFileError("export_not_jsonl", path)
    try:
        if file.is_dir() or (file.exists() and not overwrite):
            raise KnowledgeFileError("export_file_exists", path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(file, rows)
    except (OSError, StoreError) as err:
        raise KnowledgeFileError("export_failed", path, str(err)) from err
    return file


def _resolved(config_dir: str, path: str) -> Path:
    try:
        return Path(config_dir, path).resolve()
    except (OSError, ValueError, RuntimeError) as err:
        # A NUL in it, or links in a circle.
        raise KnowledgeFileError("path_unusable", path.replace("\x00", "?"), str(err)) from err


def _is_below(file: Path, config_dir: str) -> bool:
    return file.is_relative_to(Path(config_dir).resolve())


def _reader(file: Path, path: str) -> Generator[Knowledge | BadRow]:
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if head.startswith(_SQLITE_MAGIC):
        return read_ancestor(file)
    lines = head.removeprefix(_BOM).split(b"\n")
    if head.strip() and not any(line.lstrip().startswith(b"{") for line in lines):
        raise KnowledgeFileError("import_unknown_kind", path)
    # The other kind may be large for the embeddings in it, which stay unread.
    if file.stat().st_size > MAX_MEGABYTES * 1_000_000:
        raise KnowledgeFileError("import_too_large", path)
    return read_jsonl(file)


def _collect(found: Iterable[Knowledge | BadRow], path: str) -> Collected:
    collected, size = Collected(), 0
    for number, row in enumerate(found, 1):
        if isinstance(row, BadRow):
            collected.skipped += 1
            if len(collected.errors) < MAX_ERRORS:
                collected.errors.append(row)
        else:
            size += len(row.text) + len(json.dumps(row.metadata))
            collected.rows.append(row)
        if number > MAX_ROWS or size > MAX_MEGABYTES * 1_000_000:
            raise KnowledgeFileError("import_too_large", path)
    return collected
