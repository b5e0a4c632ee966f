"""Make the first user of a new Home Assistant, or log in as the one made before."""

from dataclasses import asdict, dataclass
import json
import os
import secrets

from .client import Client
from .folder import HomeFolder

USER = "demo"
TEN_YEARS_IN_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Login:
    """What a person needs in the browser, and a program for the API."""

    user: str
    password: str
    token: str


async def log_in(client: Client, folder: HomeFolder) -> tuple[Client, Login]:
    """Return a logged-in client; a folder that was used before keeps its login."""
    if folder.login.exists():
        login = Login(**json.loads(folder.login.read_text(encoding="utf-8")))
    else:
        login = await _onboard(client)
        _keep(login, folder)
    return client.with_token(login.token), login


async def _onboard(client: Client) -> Login:
    address = f"{client.url}/"
    password = secrets.token_urlsafe(9)
    person = {"name": USER.title(), "username": USER, "password": password, "language": "en"}
    user = await client.post("/api/onboarding/users", {"client_id": address, **person})
    grant = {"grant_type": "authorization_code", "code": user["auth_code"], "client_id": address}
    tokens = await client.post_form("/auth/token", grant)
    admin = client.with_token(tokens["access_token"])
    await admin.post("/api/onboarding/analytics")
    await admin.post("/api/onboarding/integration", {"client_id": address, "redirect_uri": address})
    return Login(USER, password, await _long_lived_token(admin))


async def _long_lived_token(admin: Client) -> str:
    async with admin.websocket() as socket:
        token: str = await socket.command(
            "auth/long_lived_access_token", client_name="semantic_home harness", lifespan=TEN_YEARS_IN_DAYS
        )
    return token


def _keep(login: Login, folder: HomeFolder) -> None:
    descriptor = os.open(folder.login, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(login), file)
