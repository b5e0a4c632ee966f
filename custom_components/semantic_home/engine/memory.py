"""Memory that a process has and does not need, given back to the system. Does nothing where that cannot be done."""

import ctypes
import mmap
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)


def return_freed() -> None:
    """Have freed memory go back to the system, which glibc would keep tens of megabytes of; musl keeps none."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def release_mapped(file: Path) -> None:
    """Take a mapped file's pages out of this process's memory, whoever mapped it; what is read again comes back.

    OpenVINO makes its own copy of the matrices when it first runs, and never reads the file's again: of BGE-M3 that
    leaves 320 MB resident for nothing. Linux only.
    """
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or _DONTNEED is None or not _MAPS.exists():
        return
    suffix = str(file.resolve())
    for line in _MAPS.read_text("utf-8", errors="surrogateescape").splitlines():
        if line.endswith(suffix):
            start, end = (int(address, 16) for address in line.split(maxsplit=1)[0].split("-"))
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)
