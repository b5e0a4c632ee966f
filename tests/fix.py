"""Mends a reported problem through Home Assistant's own interface, as the repairs page does."""

from http import HTTPStatus
from typing import Any, Self

from aiohttp.test_utils import TestClient
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import DOMAIN

_URL = "/api/repairs/issues/fix"


class Fix:
    """One fix flow; `shown` is what it shows now."""

    def __init__(self, client: TestClient[Any, Any], shown: dict[str, Any]) -> None:
        self._client = client
        self.shown = shown

    @classmethod
    async def begin(cls, hass: HomeAssistant, hass_client: ClientSessionGenerator, issue: str) -> Self:
        """Begin with what mends an issue."""
        assert await async_setup_component(hass, "repairs", {})
        client = await hass_client()
        response = await client.post(_URL, json={"handler": DOMAIN, "issue_id": issue})
        assert response.status == HTTPStatus.OK
        return cls(client, await response.json())

    async def go_on(self, **answer: str) -> dict[str, Any]:
        """Submit what is shown, and return what is shown then."""
        response = await self._client.post(f"{_URL}/{self.shown['flow_id']}", json=answer)
        assert response.status == HTTPStatus.OK
        self.shown = await response.json()
        return self.shown
