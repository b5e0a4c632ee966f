"""How the home's index is, in one word."""

from enum import StrEnum

from .indexed_documents import IndexStatus
from .model_runner import ModelRunner


class HomeState(StrEnum):
    """What can be expected of answers.

    LOADING: its model is on its way, names alone answer. BUILDING: vectors are being made, of another model maybe.
    DEGRADED: the model does not run or does not answer. NAMES_ONLY: none was chosen.
    """

    READY = "ready"
    LOADING = "loading"
    BUILDING = "building"
    DEGRADED = "degraded"
    NAMES_ONLY = "names_only"


def state_of(runner: ModelRunner | None, answering: ModelRunner | None, status: IndexStatus) -> HomeState:
    """Tell the state: by the wished model, None where none was chosen, and that which answers."""
    if runner is None:
        return HomeState.NAMES_ONLY
    if answering is None:
        return HomeState.DEGRADED if runner.fails else HomeState.LOADING
    if not answering.answers:
        return HomeState.DEGRADED
    return HomeState.READY if status.complete and status.building is None else HomeState.BUILDING
