"""Knowledge as JSON Lines: one object a line, in UTF-8.

Keys: text and knowledge_type, which must be there; metadata, success_score, created and updated (ISO 8601, UTC where
no offset is given). Others are ignored.
"""

from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime
import json
import os
from pathlib import Path
from typing import BinaryIO

from .fields import knowledge_from
from .knowledge import BadRow, Knowledge
from .model import StoreError

MAX_LINE = 1 << 20
"""In bytes. A longer line is a bad row, whatever it says, and is never held in memory."""


def read_jsonl(path: Path) -> Generator[Knowledge | BadRow]:
    """Yield what each line says, or why it cannot be used; empty lines are passed over.

    A missing time is the file's own. Raises StoreError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            known = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            for number, line in enumerate(_lines(file), 1):
                if line is None:
                    yield BadRow(number, f"the line is longer than {MAX_LINE} bytes")
                elif line.strip():
                    yield _row(number, line, known)
    except OSError as err:
        raise StoreError(f"Cannot read {path}: {err}") from err


def write_jsonl(path: Path, rows: Iterable[Knowledge]) -> int:
    """Write the rows to the file, whole or not at all; return how many. Raises StoreError when it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    count = 0
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is the count
                file.write(json.dumps(_values(row), ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as err:
        raise StoreError(f"Cannot write {path}: {err}") from err
    finally:
        part.unlink(missing_ok=True)
    return count


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)
        yield None


def _row(number: int, line: bytes, known: datetime) -> Knowledge | BadRow:
    try:
        values = json.loads(line.decode("utf-8-sig"))
        if not isinstance(values, dict):
            return BadRow(number, "the line is not a JSON object")
        return knowledge_from(
            values.get("text"),
            values.get("knowledge_type"),
            values.get("metadata"),
            values.get("success_score"),
            (values.get("created"), values.get("updated")),
            known,
        )
    except json.JSONDecodeError as err:
        return BadRow(number, f"the line is not JSON: {err.msg} at {err.pos}")
    except UnicodeDecodeError:
        return BadRow(number, "the line is not UTF-8")
    except RecursionError:
        return BadRow(number, "the line nests too deep")
    except (ValueError, TypeError) as err:
        return BadRow(number, str(err))


def _values(row: Knowledge) -> dict[str, object]:
    return {
        "text": row.text,
        "knowledge_type": row.knowledge_type,
        "metadata": dict(row.metadata),
        "success_score": row.score,
        "created": row.created.isoformat(),
        "updated": row.updated.isoformat(),
    }
