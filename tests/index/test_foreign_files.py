"""The ancestor's database and JSON Lines: good rows are read, bad ones named, and nothing is written to."""

from collections.abc import Iterator
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import tracemalloc

import pytest

from custom_components.semantic_home.index import (
    BadRow,
    Knowledge,
    StoreError,
    jsonl,
    read_ancestor,
    read_jsonl,
    write_jsonl,
)

from .common import raw

TIME = "2025-03-04 05:06:07.000008"
MOMENT = datetime(2025, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
MTIME = datetime(2026, 2, 3, tzinfo=UTC)
COLUMNS = (
    "id INTEGER PRIMARY KEY, text TEXT, embedding JSON, knowledge_type VARCHAR, metadata JSON, "
    "success_score FLOAT DEFAULT 0.5, created_at DATETIME, updated_at DATETIME"
)
GOOD = ("turn on the lamp", "[0.1, 0.2]", "query", '{"a": [1]}', 0.75, TIME, TIME)
ROW = Knowledge("turn on the lamp", "query", MOMENT, MOMENT, {"a": [1]}, 0.75)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ancestor.db"


def write(file: Path, table: str, *rows: tuple[object, ...]) -> None:
    with raw(file) as connection:
        connection.execute(f"CREATE TABLE {table} ({COLUMNS})")
        connection.executemany(f"INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)
    os.utime(file, (MTIME.timestamp(), MTIME.timestamp()))


def changed(**changes: object) -> tuple[object, ...]:
    names = ("text", "embedding", "knowledge_type", "metadata", "success_score", "created_at", "updated_at")
    return tuple((dict(zip(names, GOOD, strict=True)) | changes).values())


def test_both_tables(file: Path) -> None:
    write(file, "semantic_knowledge", GOOD)
    write(file, "rag_knowledge", changed(text="other", metadata=None, success_score=None), GOOD)
    before = file.read_bytes()
    other = Knowledge("other", "query", MOMENT, MOMENT)
    assert list(read_ancestor(file)) == [ROW, other, ROW]
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": None}, "text is missing"),
        ({"text": ""}, "text is empty"),
        ({"text": 5}, None),
        ({"text": b"\xff\xfe"}, "UTF-8"),
        ({"text": "x" * 20_000}, "16384"),
        ({"knowledge_type": None}, "type is missing"),
        ({"knowledge_type": "x" * 65}, "64"),
        ({"metadata": "{"}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"metadata": '{"x": NaN}'}, "JSON"),
        ({"metadata": "[" * 100_000}, "metadata"),
        ({"success_score": 1.5}, "score"),
        ({"success_score": "good"}, "score"),
        ({"created_at": "yesterday"}, "time"),
        ({"updated_at": "0001-01-01T00:00:00+23:00"}, "time"),
        ({"updated_at": 5.5}, None),
    ],
)
def test_bad_rows_are_named_and_passed_over(file: Path, changes: dict[str, object], reason: str | None) -> None:
    write(file, "rag_knowledge", GOOD, changed(**changes), GOOD)
    first, bad, last = read_ancestor(file)
    assert first == last == ROW
    if reason is None:
        # Text affinity has made a text of it.
        assert isinstance(bad, Knowledge | BadRow)
        return
    assert isinstance(bad, BadRow)
    assert bad.id == 2
    assert reason in bad.reason


def test_missing_times(file: Path) -> None:
    write(file, "rag_knowledge", changed(created_at=None), changed(updated_at=None, created_at=None))
    first, second = read_ancestor(file)
    assert isinstance(first, Knowledge)
    assert isinstance(second, Knowledge)
    assert (first.created, first.updated) == (MOMENT, MOMENT)
    assert (second.created, second.updated) == (MTIME, MTIME)


def test_missing_columns(file: Path) -> None:
    with raw(file) as connection:
        connection.execute("CREATE TABLE rag_knowledge (id INTEGER, text, knowledge_type)")
        connection.execute("INSERT INTO rag_knowledge VALUES (7, 'x', 'note')")
    (row,) = read_ancestor(file)
    assert isinstance(row, Knowledge)
    assert (row.text, row.score) == ("x", 0.5)


def test_rows_far_apart(file: Path) -> None:
    write(file, "rag_knowledge", GOOD)
    with raw(file) as connection:
        connection.execute(
            "INSERT INTO rag_knowledge SELECT 1 << 60, text, 0, knowledge_type, 0, 0, 0, 0 FROM rag_knowledge"
        )
    first, second = read_ancestor(file)
    assert first == ROW
    assert isinstance(second, BadRow)
    assert second.id == 1 << 60


def test_a_damaged_page(file: Path) -> None:
    write(file, "rag_knowledge", *(changed(text=f"text {number}") for number in range(500)))
    with raw(file) as connection:
        pages = connection.execute("SELECT pageno FROM dbstat WHERE name = 'rag_knowledge' ORDER BY path").fetchall()
    with file.open("r+b") as opened:
        opened.seek((pages[4][0] - 1) * 4_096)
        opened.write(bytes(4_096))
    found = list(read_ancestor(file))
    good = [row for row in found if isinstance(row, Knowledge)]
    assert 400 < len(good) < 500
    assert {row.text for row in good} | {f"text {row.id - 1}" for row in found if isinstance(row, BadRow)} == {
        f"text {number}" for number in range(500)
    }


def test_embeddings_are_not_held_in_memory(file: Path) -> None:
    write(file, "rag_knowledge", *(changed(embedding="0" * 20_000) for _ in range(1_000)))
    tracemalloc.start()
    assert sum(isinstance(row, Knowledge) for row in read_ancestor(file)) == 1_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_in_wal_mode_with_a_log(file: Path) -> None:
    write(file, "rag_knowledge", GOOD)
    with raw(file) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(
            "INSERT INTO rag_knowledge SELECT 2, 'second', 0, knowledge_type, NULL, 1, NULL, NULL FROM rag_knowledge"
        )
        log = file.with_name(f"{file.name}-wal")
        before = file.read_bytes(), log.read_bytes()
        assert len(list(read_ancestor(file))) == 2
        assert (file.read_bytes(), log.read_bytes()) == before


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 500])
def test_what_is_no_ancestor(file: Path, content: bytes | None) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError):
        list(read_ancestor(file))
    assert file.exists() == (content is not None)


def test_jsonl_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.jsonl"
    rows = [ROW, Knowledge("Küche\n\u2028客", "note", MOMENT, MTIME, {"ü": None}, 0.0)]
    assert write_jsonl(path, iter(rows)) == 2
    assert list(read_jsonl(path)) == rows
    assert len(path.read_bytes().splitlines()) == 2
    assert write_jsonl(path, []) == 0
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_jsonl_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.jsonl"
    path.write_text("old")

    def failing() -> Iterator[Knowledge]:
        yield ROW
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_jsonl(path, failing())
    assert path.read_text() == "old"
    with pytest.raises(StoreError):
        write_jsonl(tmp_path / "missing" / "x.jsonl", [ROW])
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_bad_lines_are_named_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.jsonl"
    good = json.dumps({"text": "x", "knowledge_type": "note", "embedding": [1], "created": "2026-02-01T01:00+01:00"})
    lines = [
        b"\xef\xbb\xbf" + good.encode(),
        b"",
        b"{",
        b"[1]",
        b"\xff",
        b'{"text": "x"}',
        b'{"text": "\\ud800", "knowledge_type": "note"}',
        b'{"text": "x", "knowledge_type": "note", "success_score": true}',
        b'{"text": "x", "knowledge_type": "note", "metadata": [1]}',
        b"[" * 100_000,
        b'"' + b"x" * jsonl.MAX_LINE + b'"',
        b'"' + b"x" * 3 * jsonl.MAX_LINE + b'"',
        good.encode() + b"\r",
        good.encode(),
    ]
    path.write_bytes(b"\n".join(lines))
    found = list(read_jsonl(path))
    assert [row.id for row in found if isinstance(row, BadRow)] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    assert [row for row in found if isinstance(row, Knowledge)] == [Knowledge("x", "note", moment, moment)] * 3
    with pytest.raises(StoreError):
        list(read_jsonl(tmp_path / "missing.jsonl"))
