"""Keep the fixtures of the other tests away: here Home Assistant runs in a process of its own."""

import pytest


@pytest.fixture(autouse=True)
def _custom_integrations() -> None:
    """Take the place of the fixture that would make a Home Assistant inside the test."""
