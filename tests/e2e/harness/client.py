"""Talk to a running Home Assistant over REST and WebSocket, as any outside program would."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
import time
from typing import Any

from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, TCPConnector, ThreadedResolver

# What Home Assistant answers has no schema of its own.
type Json = Any
type JsonObject = dict[str, Any]

POLL_SECONDS = 0.2
READY_SECONDS = 120


class RefusedError(Exception):
    """Home Assistant said no to a REST request."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status and the message apart."""
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
        self.message = message


class CommandRefusedError(Exception):
    """Home Assistant said no to a WebSocket command."""

    def __init__(self, error: JsonObject) -> None:
        """Keep the error object with its code and translation key."""
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error


class WebSocket:
    """One authenticated WebSocket connection; commands wait for their own answer."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        """Take a connection that is past authentication."""
        self._socket = socket
        self._sent = 0

    async def command(self, kind: str, **fields: Json) -> Json:
        """Send a command and return its result."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "type": kind, **fields})
        answer = await self._socket.receive_json()
        # Nothing is subscribed to, hence the next message is the answer.
        assert answer["id"] == self._sent, answer
        if not answer["success"]:
            raise CommandRefusedError(answer["error"])
        return answer["result"]

    async def action(self, domain: str, name: str, data: JsonObject) -> JsonObject:
        """Call an action and return its response data."""
        result = await self.command(
            "call_service", domain=domain, service=name, service_data=data, return_response=True
        )
        response: JsonObject = result["response"]
        return response


class Client:
    """REST requests with a token, and WebSocket connections on demand."""

    def __init__(self, session: ClientSession, url: str, token: str = "") -> None:
        """Take a session; without a token only onboarding and login are possible."""
        self._session = session
        self.url = url
        self._token = token

    def with_token(self, token: str) -> Client:
        """Return a client for the same Home Assistant that is logged in."""
        return Client(self._session, self.url, token)

    async def get(self, path: str) -> Json:
        """GET a path below the address."""
        return await self._request("GET", path)

    async def post(self, path: str, body: JsonObject | None = None) -> Json:
        """POST JSON to a path below the address."""
        return await self._request("POST", path, json=body or {})

    async def post_form(self, path: str, fields: Mapping[str, str]) -> Json:
        """POST form fields, as the token endpoint wants them."""
        return await self._request("POST", path, data=fields)

    async def delete(self, path: str) -> Json:
        """DELETE a path below the address."""
        return await self._request("DELETE", path)

    async def action(self, domain: str, name: str, data: JsonObject | None = None) -> JsonObject:
        """Call an action over REST and return its response data."""
        answer = await self.post(f"/api/services/{domain}/{name}?return_response", data)
        response: JsonObject = answer["service_response"]
        return response

    async def action_without_response(self, domain: str, name: str, data: JsonObject | None = None) -> None:
        """Call an action that responds with nothing."""
        await self.post(f"/api/services/{domain}/{name}", data)

    async def entries(self, domain: str) -> list[JsonObject]:
        """Return the config entries of an integration."""
        entries: list[JsonObject] = await self.get(f"/api/config/config_entries/entry?domain={domain}")
        return entries

    async def wait_until_started(self) -> JsonObject:
        """Wait until all integrations are set up; return Home Assistant's configuration."""
        deadline = time.monotonic() + READY_SECONDS
        while (config := await self.get("/api/config"))["state"] != "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"Home Assistant is still {config['state']} after {READY_SECONDS} s")
            await asyncio.sleep(POLL_SECONDS)
        started: JsonObject = config
        return started

    @asynccontextmanager
    async def websocket(self) -> AsyncIterator[WebSocket]:
        """Open an authenticated WebSocket connection."""
        async with self._session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            answer = await socket.receive_json()
            if answer["type"] != "auth_ok":
                raise CommandRefusedError({"code": answer["type"], "message": answer.get("message", "")})
            yield WebSocket(socket)

    async def _request(self, method: str, path: str, **content: Json) -> Json:
        headers = {"Accept": "application/json, */*"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        async with self._session.request(method, f"{self.url}{path}", headers=headers, **content) as response:
            if response.status >= 400:
                raise RefusedError(response.status, await response.text())
            return await response.json() if response.content_type == "application/json" else await response.text()


@asynccontextmanager
async def connect(url: str, token: str = "") -> AsyncIterator[Client]:
    """Open a client for a running Home Assistant."""
    # aiohttp's other resolver keeps a thread that pytest would report as left behind.
    connector = TCPConnector(resolver=ThreadedResolver())
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=120)) as session:
        yield Client(session, url, token)
