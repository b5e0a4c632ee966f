"""What was answered lately, so that whoever asked can say whether it was right: in memory alone, few, not for long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
import secrets

from homeassistant.util import dt as dt_util

from .learned_requests import Lesson

MAX_RESULTS = 200
LIFETIME = timedelta(hours=1)


class UnknownResultError(Exception):
    """No such result was given to this user, or too long ago."""


@dataclass(frozen=True, slots=True)
class _Result:
    lesson: Lesson
    user_id: str | None
    expires: datetime


class RecentResults:
    """Remembers what requests were taken to mean."""

    def __init__(self) -> None:
        """Start without any."""
        # The oldest first.
        self._results: dict[str, _Result] = {}

    def note(self, lesson: Lesson, user_id: str | None) -> str:
        """Remember what would be learnt from a result that was given to a user, and return its token."""
        token = secrets.token_urlsafe(12)
        self._results[token] = _Result(lesson, user_id, dt_util.utcnow() + LIFETIME)
        if len(self._results) > MAX_RESULTS:
            del self._results[next(iter(self._results))]
        return token

    def find(self, token: str, user_id: str | None) -> Lesson:
        """Return what would be learnt from a result; raises UnknownResultError."""
        result = self._results.get(token)
        if result is None or result.user_id != user_id or result.expires <= dt_util.utcnow():
            raise UnknownResultError(token)
        return result.lesson
