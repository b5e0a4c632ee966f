"""The actions that look for knowledge: search, and rank what somebody else has found."""

from typing import Any, Final

import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from .asked_generation import GenerationChoice
from .const import DOMAIN, MAX_QUERY_LENGTH, MAX_TEXT_LENGTH
from .index import Document, JsonValue, check_json
from .knowledge_filter import Condition, KnowledgeFilter, Operator
from .knowledge_index import KnowledgeQuery
from .knowledge_search import KnowledgeAnswer
from .request_log import followed
from .runtime import SemanticHome
from .service_calls import (
    ATTR_QUERY,
    FAILURES,
    GENERATION,
    STRINGS,
    TEXT,
    async_ask_home,
    async_failure,
    async_may_read,
    checked_text,
    home_of,
)

ATTR_CANDIDATES: Final = "candidates"
ATTR_EXPAND: Final = "expand"
ATTR_GENERATION: Final = "generation"
ATTR_LANGUAGE: Final = "language"
ATTR_LIMIT: Final = "limit"
ATTR_METADATA: Final = "metadata"
ATTR_MIN_CONFIDENCE: Final = "min_confidence"
ATTR_RERANK: Final = "rerank"
ATTR_TYPES: Final = "types"

SERVICE_RERANK: Final = "rerank"
SERVICE_SEARCH_KNOWLEDGE: Final = "search_knowledge"

MAX_CANDIDATES: Final = 200
_MAX_FOUND = 100

SEARCH_KNOWLEDGE_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_QUERY): TEXT,
        vol.Optional(ATTR_TYPES): STRINGS,
        vol.Optional(ATTR_METADATA): dict,
        vol.Optional(ATTR_LANGUAGE): TEXT,
        vol.Optional(ATTR_LIMIT, default=10): vol.All(vol.Coerce(int), vol.Range(1, _MAX_FOUND)),
        vol.Optional(ATTR_MIN_CONFIDENCE, default=0.0): vol.All(vol.Coerce(float), vol.Range(0, 1)),
        vol.Optional(ATTR_EXPAND, default=False): cv.boolean,
        vol.Optional(ATTR_RERANK, default=False): cv.boolean,
        vol.Optional(ATTR_GENERATION, default=GenerationChoice.ACTIVE): GENERATION,
    }
)
RERANK_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_QUERY): TEXT,
        vol.Required(ATTR_CANDIDATES): list,
        vol.Optional(ATTR_LIMIT): vol.All(vol.Coerce(int), vol.Range(1, MAX_CANDIDATES)),
    }
)


@callback
def async_setup_knowledge_search_services(hass: HomeAssistant) -> None:
    """Register the actions, for everybody: what is about things that the caller may not read is left out."""
    for name, call, schema in (
        (SERVICE_SEARCH_KNOWLEDGE, _async_search_knowledge, SEARCH_KNOWLEDGE_SCHEMA),
        (SERVICE_RERANK, _async_rerank, RERANK_SCHEMA),
    ):
        hass.services.async_register(DOMAIN, name, call, schema, supports_response=SupportsResponse.ONLY)


@followed
async def _async_search_knowledge(call: ServiceCall) -> ServiceResponse:
    async def ask(home: SemanticHome) -> ServiceResponse:
        query = await _async_query(call)
        return _search_response(await _async_answer(home, call.data[ATTR_GENERATION], query))

    return await async_ask_home(call.hass, ask)


async def _async_query(call: ServiceCall) -> KnowledgeQuery:
    data = call.data
    limits = KnowledgeFilter(
        types=data.get(ATTR_TYPES, ()),
        language=data.get(ATTR_LANGUAGE),
        conditions=_conditions(data.get(ATTR_METADATA, {})),
        permits=await async_may_read(call.hass, call.context),
    )
    return KnowledgeQuery(
        text=checked_text(data[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH),
        limits=limits,
        limit=data[ATTR_LIMIT],
        min_confidence=data[ATTR_MIN_CONFIDENCE],
        expand=data[ATTR_EXPAND],
        rerank=data[ATTR_RERANK],
    )


async def _async_answer(home: SemanticHome, choice: GenerationChoice, query: KnowledgeQuery) -> KnowledgeAnswer:
    if choice is GenerationChoice.ACTIVE:
        return await home.search.async_search(query)
    async with home.async_asked(choice) as asked:
        return await home.search.async_search_with(asked, query)


@followed
async def _async_rerank(call: ServiceCall) -> ServiceResponse:
    query = checked_text(call.data[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH)
    candidates = [_candidate(one, number) for number, one in enumerate(call.data[ATTR_CANDIDATES])]
    if not 1 <= len(candidates) <= MAX_CANDIDATES:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wrong_number_of_texts",
            translation_placeholders={"count": str(len(candidates)), "maximum": str(MAX_CANDIDATES)},
        )
    try:
        ranked = await home_of(call.hass).search.async_rerank(query, [text for _, text in candidates])
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    scores = ranked.scores.tolist()
    order = sorted(range(len(candidates)), key=lambda number: -scores[number])[: call.data.get(ATTR_LIMIT)]
    return {
        "results": [
            {
                "id": candidates[number][0],
                "index": number,
                "text": candidates[number][1],
                "score": round(scores[number], 4),
            }
            for number in order
        ],
        "model": ranked.model,
        "degraded": ranked.model is None,
    }


def _candidate(one: object, number: int) -> tuple[JsonValue, str]:
    """Give a candidate's id, if it has one, and its text: it is a text, or an object with `text` and `id`."""
    text, own_id = (one.get("text"), one.get("id")) if isinstance(one, dict) else (one, None)
    if not isinstance(text, str) or not isinstance(own_id, str | int | None) or not _is_whole([text, own_id]):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="bad_candidate", translation_placeholders={"index": str(number)}
        )
    return own_id, checked_text(text, ATTR_CANDIDATES, MAX_TEXT_LENGTH)


def _is_whole(value: object) -> bool:
    try:
        check_json(value)
    except ValueError:
        return False
    return True


def _conditions(metadata: dict[str, Any]) -> list[Condition]:
    """Read conditions: a value that has to be equal, or an object of operators with their values."""
    found = []
    for path, wanted in metadata.items():
        operators = wanted if isinstance(wanted, dict) else {Operator.EQ: wanted}
        for name, value in operators.items():
            if not isinstance(path, str) or name not in set(Operator):
                raise ServiceValidationError(
                    translation_domain=DOMAIN,
                    translation_key="unknown_operator",
                    translation_placeholders={"operator": str(name), "known": ", ".join(Operator)},
                )
            found.append(Condition(path, Operator(name), value))
    return found


def _search_response(answer: KnowledgeAnswer) -> dict[str, Any]:
    findings = answer.findings
    results = []
    for found in findings.found:
        scores = {"lexical": round(found.lexical, 3), "dense": None if found.dense is None else round(found.dense, 3)}
        results.append(
            {**document_response(found.document), "confidence": round(found.confidence, 3), "scores": scores}
        )
        results[-1]["success_score"] = round(found.success, 3)
    return {
        "results": results,
        "searched": findings.searched,
        "expanded": list(findings.expanded),
        "model": answer.model,
        "generation": answer.generation,
        "degraded": answer.degraded,
        "took_ms": round(answer.took_ms, 1),
    }


def document_response(document: Document) -> dict[str, Any]:
    """Show a piece of knowledge."""
    metadata = dict(document.metadata)
    return {
        "id": document.source_id,
        "type": document.knowledge_type or document.kind,
        "text": document.views[-1] if document.views else "",
        "language": document.language or metadata.get("language"),
        "source": metadata.get("source"),
        "metadata": metadata,
    }
