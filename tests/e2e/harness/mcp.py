"""Be an LLM agent outside of Home Assistant: its tools, over its MCP server."""

import json

from .client import Client, Json, JsonObject
from .flow import go_through_flow

_ENDPOINT = "/api/mcp"
_VERSION = "2025-06-18"


class AgentError(Exception):
    """The tool said that it could not answer."""


async def serve(client: Client) -> None:
    """Set Home Assistant's MCP server up through its config flow, as it is proposed: with all LLM APIs."""
    await go_through_flow(client, {"handler": "mcp_server"}, {"user": {}})


class Agent:
    """Calls the tools of one LLM API, or of all that are served."""

    def __init__(self, client: Client, api_id: str | None = None) -> None:
        """Take whose client it is."""
        self._client = client
        self._path = f"{_ENDPOINT}/{api_id}" if api_id else _ENDPOINT

    async def tools(self) -> dict[str, JsonObject]:
        """Give the tools by name."""
        return {tool["name"]: tool for tool in (await self._request("tools/list"))["tools"]}

    async def prompt(self) -> str:
        """Give what an agent is told of the home."""
        [prompt] = (await self._request("prompts/list"))["prompts"]
        [message] = (await self._request("prompts/get", name=prompt["name"]))["messages"]
        text: str = message["content"]["text"]
        return text

    async def use(self, tool: str, **arguments: Json) -> JsonObject:
        """Call a tool; raises AgentError when it answers with an error."""
        result = await self._request("tools/call", name=tool, arguments=arguments)
        [content] = result["content"]
        if result.get("isError"):
            raise AgentError(content["text"])
        answer: JsonObject = json.loads(content["text"])
        return answer

    async def _request(self, method: str, **params: Json) -> JsonObject:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self._client.post(self._path, message)
        if "error" in answer:
            raise AgentError(answer["error"]["message"])
        result: JsonObject = answer["result"]
        return result
