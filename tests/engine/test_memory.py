"""Memory really leaves the process; what it costs there is measured by scripts/benchmark.py."""

import mmap
from pathlib import Path
import re

import pytest

from custom_components.semantic_home.engine.memory import release_mapped, return_freed

_SIZE = 2**22


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_mapped_pages_are_let_go_and_come_back(tmp_path: Path) -> None:
    file, other = tmp_path / "model.bin", tmp_path / "other.bin"
    for path in (file, other):
        path.write_bytes(bytes(range(256)) * (_SIZE // 256))
    with (
        file.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        other.open("rb") as second,
        mmap.mmap(second.fileno(), 0, access=mmap.ACCESS_READ) as kept,
    ):
        content = bytes(mapped)
        assert bytes(kept) == content
        assert _resident(file) == _SIZE
        release_mapped(file)
        assert _resident(file) == 0
        assert _resident(other) == _SIZE
        assert bytes(mapped) == content


def test_freed_memory_can_be_returned_anywhere() -> None:
    return_freed()


def _resident(file: Path) -> int:
    """Add up what is resident of a mapped file, in bytes."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        if re.match(r"[0-9a-f]+-", line):
            ours = line.endswith(str(file))
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total
