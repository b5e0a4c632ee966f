"""Makes a database of an earlier revision, through Alembic itself."""

from hashlib import sha256
from pathlib import Path

from alembic import command
from alembic.config import Config
import numpy as np
from sqlalchemy import create_engine

from custom_components.semantic_home.index import database

from .common import raw

TIME = "2026-01-02 03:04:05.678900"
GENERATION = (
    "INSERT INTO generation (id, model_id, revision, precision, pooling, query_prefix, passage_prefix, "
    "template_version, dimension, state, created) VALUES (?, 'bge-m3', ?, 'int8', 'cls', '', '', 1, 3, ?, ?)"
)


def make_0001(path: Path, documents: int = 3) -> None:
    """Fill a file of revision 0001: entities of two views, generation 3 retired, 4 active, 5 gone again."""
    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with raw(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        for generation_id, revision, state in ((3, "abc", "retired"), (4, "def", "active"), (5, "x", "building")):
            connection.execute(GENERATION, (generation_id, revision, state, TIME))
        connection.execute("DELETE FROM generation WHERE id = 5")
        for number in range(1, documents + 1):
            connection.execute(
                "INSERT INTO document VALUES (?, 'entity', ?, ?, NULL, NULL, 'en', ?, ?)",
                (number, f"light.{number}", '{"domain": "light"}', TIME, TIME),
            )
            for position, text in enumerate((f"Lamp {number}", f"Light {number}")):
                digest = sha256(text.encode()).digest()
                connection.execute("INSERT INTO view VALUES (?, ?, ?, ?)", (number, position, text, digest))
                for generation_id in (3, 4):
                    dense = np.full(3, generation_id / 1_000, "<f4").tobytes()
                    connection.execute(
                        "INSERT INTO vector VALUES (?, ?, ?, NULL, NULL)", (generation_id, digest, dense)
                    )
        connection.execute("COMMIT")
