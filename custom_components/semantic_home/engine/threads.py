"""How many threads NumPy computes with. Its BLAS takes as many as there are cores, unless it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from typing import Any

_LOGGER = logging.getLogger(__name__)


class BlasThreads:
    """Limits BLAS for a while, and no longer: the number is the process's, and others in it use NumPy too."""

    def __init__(self, count: int) -> None:
        """Find the BLAS that NumPy has loaded. Blocking."""
        self._count = count
        self._controller = _find()

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Compute with so many threads inside, and afterwards with as many as before."""
        if self._controller is None:
            yield
            return
        with self._controller.limit(limits=self._count, user_api="blas"):
            yield


def _find() -> Any:
    """Return threadpoolctl's handle; None where that is not installed or cannot look: then BLAS takes what it likes."""
    try:
        import threadpoolctl  # noqa: PLC0415 - installed on demand

        # Looking for the loaded libraries takes milliseconds, too long for each text.
        return threadpoolctl.ThreadpoolController()
    except (ImportError, OSError, RuntimeError) as err:
        _LOGGER.debug("NumPy's threads cannot be limited: %s", err)
        return None
