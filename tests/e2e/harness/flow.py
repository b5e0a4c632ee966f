"""Go through a config flow over REST, answering whatever form it shows."""

import asyncio
from collections.abc import Callable, Mapping
import time

from .client import POLL_SECONDS, Client, Json, JsonObject, RefusedError

FLOWS = "/api/config/config_entries/flow"

# A progress step may install packages from the internet.
FLOW_SECONDS = 900


class FlowFailedError(Exception):
    """The flow ended, or asked for something, that has no answer."""


def silent(progress: JsonObject) -> None:
    """Tell nobody."""


async def go_through_flow(
    client: Client,
    start: JsonObject,
    answers: Mapping[str, Mapping[str, Json]],
    on_progress: Callable[[JsonObject], None] = silent,
) -> JsonObject:
    """Start a flow and answer its steps; return the result that created the entry, or changed it.

    `start` holds the handler, and the entry's id to reconfigure it.
    `answers` holds the fields by step id. A field without an answer keeps the default that the form proposes.
    """
    result: JsonObject = await client.post(FLOWS, start)
    try:
        return await _until_created(client, result, answers, on_progress)
    except BaseException:
        await _give_up(client, result["flow_id"])
        raise


async def _until_created(
    client: Client,
    result: JsonObject,
    answers: Mapping[str, Mapping[str, Json]],
    on_progress: Callable[[JsonObject], None],
) -> JsonObject:
    step = f"{FLOWS}/{result['flow_id']}"
    deadline = time.monotonic() + FLOW_SECONDS
    while result["type"] != "create_entry":
        if time.monotonic() > deadline:
            raise FlowFailedError(f"The flow is still at {result.get('step_id')} after {FLOW_SECONDS} s")
        match result["type"]:
            case "form":
                result = await client.post(step, _fill_in(result, answers.get(result["step_id"], {})))
            case "menu":
                result = await client.post(step, _pick(result, answers))
            case "progress":
                on_progress(result)
                await asyncio.sleep(POLL_SECONDS)
                result = await client.get(step)
            case "abort" if result["reason"] == "reconfigure_successful":
                return result
            case "abort":
                raise FlowFailedError(f"The flow was aborted: {result['reason']}")
            case other:
                raise FlowFailedError(f"The flow answered with {other}, which nobody here understands")
    return result


def _pick(menu: JsonObject, answers: Mapping[str, Mapping[str, Json]]) -> JsonObject:
    if (answer := answers.get(menu["step_id"])) is None:
        said = menu.get("description_placeholders") or {}
        raise FlowFailedError(f"Step {menu['step_id']} has no answer: {said.get('problem', said)}")
    return dict(answer)


def _fill_in(form: JsonObject, answers: Mapping[str, Json]) -> JsonObject:
    if form.get("errors"):
        raise FlowFailedError(f"Step {form['step_id']} was refused: {form['errors']}")
    fields: list[JsonObject] = form.get("data_schema") or []
    defaults = {field["name"]: field["default"] for field in fields if "default" in field}
    filled = defaults | dict(answers)
    if missing := [field["name"] for field in fields if field.get("required") and field["name"] not in filled]:
        raise FlowFailedError(f"Step {form['step_id']} asks for {', '.join(missing)}")
    return filled


async def _give_up(client: Client, flow_id: str) -> None:
    try:
        await client.delete(f"{FLOWS}/{flow_id}")
    except RefusedError:
        # It has ended by itself.
        return
