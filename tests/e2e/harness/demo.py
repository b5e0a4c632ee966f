"""Ask a real Home Assistant which devices are meant, and show its answers in a table. See scripts/demo."""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import signal
import sys
import time

from tests.embedding_server import EmbeddingServer

from . import semantic_home
from .client import Client, JsonObject, RefusedError, connect
from .console import Progress, table
from .flow import FlowFailedError
from .folder import CHECKOUT, MODELS, MODELS_FOLDER, FolderInUseError, HomeFolder
from .home import Home, furnish
from .log import complaints
from .onboarding import Login, log_in
from .process import HomeAssistantDiedError, HomeAssistantProcess
from .semantic_home import Choice

HEADINGS = ("Query", "Decision", "Entities", "Confidence", "ms", "")
CANDIDATE_HEADINGS = ("", "Candidate", "Name", "Area", "Confidence", "Dense", "Lexical", "Reason")
SHOWN_CANDIDATES = 3
FIRST_IS_MEANT = """\
✓: the right device comes first. From which confidence on it is a match was fitted with another model: with this one
many stay below, and come out as none."""
# Always the same, so that the home of an earlier run finds its server again.
SERVER_PORT = 8219
EXPECTED_ERRORS = (
    FileNotFoundError,
    FlowFailedError,
    FolderInUseError,
    HomeAssistantDiedError,
    RefusedError,
    TimeoutError,
)
NO_FOLDER = """\
The demo needs no network but its packages', so it does not download bge-m3. Make its folder yourself:
`scripts/export_model.py BAAI/bge-m3 FOLDER`, then `scripts/demo --model bge-m3 --folder FOLDER`."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query and, unless it is the user's own, the answer it should get: a decision, or only who comes `first`."""

    query: str
    decision: str | None = None
    entity_ids: tuple[str, ...] = ()
    first: str | None = None

    @property
    def is_own(self) -> bool:
        """Tell whether the user asks, of whom nobody knows what is right."""
        return self.decision is None and self.first is None

    def is_answered_by(self, response: JsonObject) -> bool:
        """Tell whether the answer is the expected one; an own question expects nothing."""
        if self.first is not None:
            return any(candidate["entity_id"] == self.first for candidate in response["candidates"][:1])
        if self.decision is None:
            return True
        right_decision: bool = response["decision"] == self.decision
        return right_decision and (not self.entity_ids or set(self.entity_ids) == set(response["entity_ids"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and what Home Assistant responded."""

    question: Question
    response: JsonObject

    @property
    def is_right(self) -> bool:
        """Tell whether this is the expected answer."""
        return self.question.is_answered_by(self.response)


def main() -> int:
    """Run the demo; return the exit code."""
    options = _parse(sys.argv[1:])
    if options.model != semantic_home.MODEL and not options.folder:
        print(NO_FOLDER, file=sys.stderr)
        return 2
    # Ending the demo from outside must stop its Home Assistant as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # A home of its own: another demo's Home Assistant would look for a server that is not there.
        folder = HomeFolder(CHECKOUT / (".demo-server" if options.server else ".demo"))
        with folder.claimed():
            return _run(options, folder)
    except KeyboardInterrupt:
        return 130
    except EXPECTED_ERRORS as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, folder: HomeFolder) -> int:
    progress = Progress(float(os.environ.get("DEMO_STARTED_AT") or time.time()))
    with EmbeddingServer(port=SERVER_PORT) if options.server else nullcontext() as server:
        if server:
            progress.say(f"A server runs multilingual-e5-small at {server.url}")
        return _run_home(options, folder, progress, server.url if server else None)


def _run_home(options: argparse.Namespace, folder: HomeFolder, progress: Progress, server: str | None) -> int:
    if options.fresh:
        folder.forget()
    model = options.folder or MODELS / (semantic_home.PORTABLE_MODEL if options.engine == "numpy" else options.model)
    folder.lay_out(model)
    choice = Choice(options.engine, options.model, f"{MODELS_FOLDER}/{model.name}", server=server)
    progress.say("Starting Home Assistant")
    process = HomeAssistantProcess(folder)
    try:
        process.start()
        login, passed = asyncio.run(_demonstrate(process, progress, choice, _questions(options), as_json=options.json))
        if options.serve:
            _serve(process, login)
    finally:
        process.stop()
        clean = _log_is_clean(folder)
    return 0 if clean and passed else 1


async def _demonstrate(
    process: HomeAssistantProcess,
    progress: Progress,
    choice: Choice,
    questions: Sequence[Question],
    *,
    as_json: bool,
) -> tuple[Login, bool]:
    async with connect(process.url) as stranger:
        client, login = await log_in(stranger, process.folder)
        version = (await client.wait_until_started())["version"]
        progress.say(f"Home Assistant {version} is running; looking after its home")
        async with client.websocket() as socket:
            await furnish(socket, Home.load())
        await _set_up(client, process.folder, choice, progress)
        progress.say("Waiting for the index")
        await semantic_home.wait_for_index(client)
        answers = [await _ask(client, questions[0])]
        first = progress.seconds
        progress.say("First match")
        answers += [await _ask(client, question) for question in questions[1:]]
    if as_json:
        print(json.dumps([answer.response for answer in answers], ensure_ascii=False, indent=2))
    else:
        _show(answers)
    print(f"\nFirst match {first:.1f} s after the start.", flush=True)
    return login, all(answer.is_right for answer in answers)


async def _set_up(client: Client, folder: HomeFolder, choice: Choice, progress: Progress) -> None:
    """Set the integration up, or change it to what is wanted this time."""
    entries = await client.entries(semantic_home.DOMAIN)
    wanted = json.dumps(asdict(choice))
    if entries and folder.choice.exists() and folder.choice.read_text("utf-8") == wanted:
        return
    folder.choice.unlink(missing_ok=True)

    def on_progress(shown: JsonObject) -> None:
        progress.say(_describe(shown))

    if entries:
        progress.say("Reconfiguring Semantic Home")
        await semantic_home.reconfigure(client, entries[0]["entry_id"], choice, on_progress)
    else:
        progress.say("Adding Semantic Home through its config flow")
        await semantic_home.add(client, on_progress, choice)
    folder.choice.write_text(wanted, "utf-8")


async def _ask(client: Client, question: Question) -> Answer:
    return Answer(question, await semantic_home.match(client, question.query))


def _describe(shown: JsonObject) -> str:
    action = {
        "install": "installing the packages that run the model",
        "fetch": "downloading the model",
        "load": "trying the model",
    }
    said = shown.get("progress_action", "")
    return f"Home Assistant is {action.get(said, said)}"


def _show(answers: Sequence[Answer]) -> None:
    print()
    print(table(HEADINGS, [_row(answer) for answer in answers], right=frozenset({3, 4})))
    if any(answer.question.first for answer in answers):
        print(FIRST_IS_MEANT)
    for answer in answers:
        if answer.question.is_own:
            _show_candidates(answer)
        elif not answer.is_right:
            expected = answer.question.first or ", ".join(answer.question.entity_ids)
            print(f"\nExpected for {answer.question.query!r}: {answer.question.decision or 'first'} {expected}")
            _show_candidates(answer)


def _row(answer: Answer) -> tuple[str, ...]:
    response = answer.response
    mark = "" if answer.question.is_own else "✓" if answer.is_right else "✗"
    found = response["entity_ids"] or [candidate["entity_id"] for candidate in response["candidates"][:1]]
    entities = ", ".join(found) if response["entity_ids"] or answer.question.first else "-"
    figures = f"{response['confidence']:.2f}", f"{response['took_ms']:.1f}"
    return answer.question.query, response["decision"], entities, *figures, mark


def _show_candidates(answer: Answer) -> None:
    candidates = answer.response["candidates"][:SHOWN_CANDIDATES]
    if candidates:
        print(f"\nCandidates for {answer.question.query!r}:")
        print(table(CANDIDATE_HEADINGS, [_candidate(*numbered) for numbered in enumerate(candidates, 1)]))


def _candidate(rank: int, candidate: JsonObject) -> tuple[str, ...]:
    scores = (_score(candidate["scores"].get(channel)) for channel in ("dense", "lexical"))
    place = candidate["name"], candidate["area"] or "-"
    reason = ": ".join(candidate["reason"].values())
    return str(rank), candidate["entity_id"], *place, f"{candidate['confidence']:.2f}", *scores, reason


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _serve(process: HomeAssistantProcess, login: Login) -> None:
    print(f"\nHome Assistant: {process.url}  user: {login.user}  password: {login.password}")
    print("It keeps running until you press Ctrl-C.", flush=True)
    try:
        while process.is_running():
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("\nStopping ...", file=sys.stderr, flush=True)


def _log_is_clean(folder: HomeFolder) -> bool:
    found = complaints(folder.log)
    if found:
        print(f"\nHome Assistant complained about Semantic Home ({folder.log}):", file=sys.stderr)
        print("\n".join(found), file=sys.stderr)
    return not found


def _questions(options: argparse.Namespace) -> list[Question]:
    if options.query:
        return [Question(query) for query in options.query]
    # What a multilingual model understands, an English one can only spell.
    name = "multilingual_queries.json" if options.server else "queries.json"
    prepared = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return [
        Question(item["query"], item.get("decision"), tuple(item.get("entity_ids", ())), item.get("first"))
        for item in prepared
    ]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("query", nargs="*", help="ask this instead of the prepared questions")
    parser.add_argument("--json", action="store_true", help="show the whole responses instead of a table")
    parser.add_argument("--serve", action="store_true", help="keep Home Assistant running for a browser")
    parser.add_argument("--engine", choices=("openvino", "numpy"), default="openvino", help="what runs the model")
    parser.add_argument("--server", action="store_true", help="let a real embedding server run a multilingual model")
    parser.add_argument("--folder", type=lambda path: Path(path).resolve(), help="a model folder of your own")
    parser.add_argument("--model", choices=(semantic_home.MODEL, "bge-m3"), default=semantic_home.MODEL)
    parser.add_argument("--fresh", action="store_true", help="forget the home of earlier runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
