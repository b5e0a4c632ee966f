"""A file that is not all here yet. Everything in this module is blocking."""

from collections.abc import Buffer
import hashlib
from io import FileIO
import os
from pathlib import Path

from ..engine import ModelFile

# Between two of these a download can be stopped; a Raspberry Pi hashes one in a tenth of a second.
_HASHED_AT_ONCE = 16 * 2**20


class Part:
    """What there is of a file on disk, and the hash of it.

    It is `<name>.part` while anything can be wrong with it, and `<name>` once it was verified. All methods raise
    OSError. `open` comes first, then `hash_more` until it says that there is no more, and `close` last.
    """

    def __init__(self, file: ModelFile, folder: Path) -> None:
        """Look what an earlier download left of the file in a folder."""
        self.file = file
        self._whole = folder / file.name
        self._path = folder / f"{file.name}.part"
        if self._whole.exists():
            # It was right once, but perhaps the power went before the disk had it: it has to show that again.
            self._whole.replace(self._path)
        self._done = self._path.stat().st_size if self._path.exists() else 0
        self._stream: FileIO | None = None
        self._digest = _digest(file)
        self._hashed = 0

    @property
    def done(self) -> int:
        """How many bytes are there."""
        return min(self._done, self.file.size)

    @property
    def complete(self) -> bool:
        """Whether as many bytes are there as the file has."""
        return self._done == self.file.size

    @property
    def right(self) -> bool:
        """Whether what is there is the file."""
        return self.complete and self._digest.hexdigest() == (self.file.sha256 or self.file.git_id)

    def open(self) -> None:
        """Open the file, and make it when there is none."""
        self._open()
        if self._done > self.file.size:
            self.restart()

    def hash_more(self) -> bool:
        """Hash the next of the bytes that are there already. Says whether there was one."""
        data = self._opened.read(_HASHED_AT_ONCE)
        self._digest.update(data)
        self._hashed += len(data)
        # The bytes that can be read are those that are there, should the disk have lost some of them.
        self._done = max(self._hashed, self._done) if data else self._hashed
        return bool(data)

    def write(self, data: Buffer) -> None:
        """Append bytes, and hash them."""
        rest = memoryview(data)
        while rest:
            written = self._opened.write(rest)
            self._digest.update(rest[:written])
            self._done += written
            rest = rest[written:]

    def restart(self) -> None:
        """Drop what there is, for a new file: a model that runs may have the old one mapped."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._open()
        self._digest = _digest(self.file)
        self._done = self._hashed = 0

    def settle(self) -> None:
        """Give the file its name. What has that name is on the disk."""
        os.fsync(self._opened.fileno())
        self.close()
        self._path.replace(self._whole)

    def discard(self) -> None:
        """Remove what there is."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._done = 0

    def close(self) -> None:
        """Close the file; may be called more than once."""
        if self._stream:
            self._stream.close()

    def _open(self) -> None:
        self._stream = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")

    @property
    def _opened(self) -> FileIO:
        assert self._stream is not None  # noqa: S101 - open comes first
        return self._stream


def _digest(file: ModelFile) -> hashlib._Hash:
    if file.sha256:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
