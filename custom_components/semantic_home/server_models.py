"""Which models a server says it has, to choose from."""

import json
from typing import Any

from aiohttp import ClientError, ClientTimeout

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .engine import Server, ServerError, candidates

_TIMEOUT = ClientTimeout(total=5)
_LARGEST_ANSWER = 2**20
_MOST_MODELS = 200


async def async_list_models(hass: HomeAssistant, server: Server) -> list[str]:
    """Ask each address that the user may mean; empty where none of them tells, which not every server does."""
    try:
        endpoints = candidates(server.url)
    except ServerError:
        return []
    for endpoint in endpoints:
        if models := await _list_models(hass, f"{endpoint.rpartition('/')[0]}/models", server.api_key):
            return models
    return []


async def _list_models(hass: HomeAssistant, url: str, key: str | None) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with async_get_clientsession(hass).get(
            url, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            if not response.ok:
                return []
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > _LARGEST_ANSWER:
                    return []
            return _names(json.loads(body))
    except ClientError, TimeoutError, ValueError, RecursionError:
        # Only a convenience: the user can type the name, and the trial will tell what is wrong.
        return []


def _names(answer: Any) -> list[str]:
    models = answer.get("data") if isinstance(answer, dict) else None
    named = [model.get("id") for model in models if isinstance(model, dict)] if isinstance(models, list) else []
    return [name for name in named if isinstance(name, str) and name][:_MOST_MODELS]
