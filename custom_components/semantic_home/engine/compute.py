"""On what a model runs, with how much of the machine, and how exactly."""

from dataclasses import dataclass
import os


@dataclass(frozen=True, slots=True)
class ComputeOptions:
    """How the person whose machine it is wants a model to run.

    `device`: by OpenVINO's name. `threads`: None leaves it to default_threads(). `exact`: compute in float32 where a
    device would round activations for speed. NumPy knows only the threads: it has no other device, and is exact.
    """

    device: str = "CPU"
    threads: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Refuse fewer threads than one: OpenVINO would take 0 for all cores."""
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads: {self.threads}")

    @property
    def thread_count(self) -> int:
        """How many threads that makes here."""
        return default_threads() if self.threads is None else self.threads


DEFAULT = ComputeOptions()

# Half, and not all but one. A second thread made a query of 8 tokens 1.45 and 1.48 times as fast (two runs on two
# cores, BGE-M3's size: scripts/benchmark.py --random bge-m3 --threads 1, then 2); by Amdahl's law a third of four would
# make it 1.18 times as fast again, and be the house's loss for as long as an index is made. What a query waits for then
# hardly depends on it: with two threads its p95 was 0.88 and 1.21 times that with one, beside other work.
_SHARE = 2


def default_threads(cores: int | None = None) -> int:
    """Say how many threads to compute with on a machine that has to run the house meanwhile: half of its cores.

    `cores`: the CPUs that this process may use; None asks the system.
    """
    return max(1, (cores or os.process_cpu_count() or 1) // _SHARE)
