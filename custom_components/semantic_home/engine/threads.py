"""How many threads NumPy computes with. Its BLAS takes as many as there are cores, unless it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import logging
from pathlib import Path

_LOGGER = logging.getLogger(__name__)

_MAPS = Path("/proc/self/maps")
# NumPy's own OpenBLAS, with 64-bit integers and with 32-bit ones, and the system's.
_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads")


class BlasThreads:
    """Limits BLAS for a while, and no longer: the number is the process's, and others in it use NumPy too."""

    def __init__(self, count: int) -> None:
        """Find the BLAS that NumPy has loaded. Blocking."""
        self._count = count
        self._blas = _find()

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Compute with so many threads inside, and afterwards with as many as before."""
        if self._blas is None:
            yield
            return
        get, put = self._blas
        before = get()
        put(self._count)
        try:
            yield
        finally:
            put(before)


def _find() -> tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer] | None:
    """Return OpenBLAS's functions to get and to set the number; None where it cannot be found (no Linux).

    Not with threadpoolctl: it walks the loaded libraries with a callback into Python, and deadlocks with a thread that
    loads one meanwhile, as OpenVINO does.
    """
    try:
        paths = {line.split()[-1] for line in _MAPS.read_text("utf-8").splitlines() if "openblas" in line}
        for library in map(ctypes.CDLL, sorted(paths)):
            for name in _NAMES:
                if hasattr(library, name.format("set")):
                    return getattr(library, name.format("get")), getattr(library, name.format("set"))
    except (OSError, ValueError) as err:
        _LOGGER.debug("NumPy's threads cannot be limited: %s", err)
    return None
