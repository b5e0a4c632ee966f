"""A running home that is asked from outside, and what went wrong in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import time

from .client import Client, connect
from .home import Home, furnish
from .log import complaints
from .onboarding import log_in
from .process import HomeAssistantProcess

_PATIENCE_SECONDS = 30


@dataclass
class House:
    """The running home and what went wrong in it so far."""

    process: HomeAssistantProcess
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Log in."""
        async with connect(self.process.url) as stranger:
            client, _ = await log_in(stranger, self.process.folder)
            yield client

    async def settle_in(self) -> None:
        """Wait until it has started, and furnish it."""
        async with self.client() as client:
            await client.wait_until_started()
            async with client.websocket() as socket:
                await furnish(socket, Home.load())

    def stop(self) -> None:
        """Stop it, and keep what its log complains of."""
        self.process.stop()
        self.complaints += complaints(self.process.folder.log)


async def eventually[T](ask: Callable[[], Awaitable[T]], is_right: Callable[[T], bool]) -> T:
    """Ask until the answer is right or patience ends; return the last answer."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = await ask()
        if is_right(answer) or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.2)
