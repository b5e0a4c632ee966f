"""One good question when a request may mean several things, and what comes of the answer.

Nothing is matched here. `begin` is given what the request matched; `reply` understands answers that need no matching;
for the others the caller has `replies` matched and gives the results to `weigh`. A question holds all that is needed to
go on from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from .answers import ORDINALS, Language, Meaning, Said
from .home import KIND_OF_CONCEPT
from .lexicon import Spelling, Words
from .questions import Option, Question, Thing, Unit, ask, units_of
from .request_model import NOTHING, Reading, RequestModel
from .text import fold, tokens
from .types import Decision, MatchRequest, MatchResult, Scored
from .vocabulary import Vocabulary

MAX_ROUNDS = 3
# From here on a word names something, a text is about no device, a name was said in full.
_NAMES, _ABOUT_NOTHING, _IN_FULL = 0.5, 0.9, 0.999
# How much of a word one of a thing's own words has to explain.
_EXPLAINED = 0.5
# So much of what an answer names has to be explained by what it is taken for.
_COVERED = 0.6
_START_TIMER = "HassStartTimer"
_TIMER_ASKED = 0.5
_TWO = 2


class Status(StrEnum):
    """How a clarification stands."""

    RESOLVED = "resolved"
    QUESTION = "question"
    GIVEN_UP = "given_up"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a clarification stands, why, what is meant if that is known, and what is asked if not."""

    status: Status
    reason: str
    entity_ids: tuple[str, ...] = ()
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class Replies:
    """An answer as the matcher takes it. `within`: among what may be meant; `anew`: as a request of its own.

    `joined`: together with what was asked before.
    """

    within: MatchRequest
    anew: MatchRequest
    joined: MatchRequest


@dataclass(frozen=True, slots=True)
class Matched:
    """The results of `Replies`."""

    within: MatchResult
    anew: MatchResult
    joined: MatchResult


def begin(query: str, language: str, result: MatchResult, things: Mapping[str, Thing]) -> Outcome:
    """Ask what a match leaves open, if it leaves anything open. `things`: all that it found, by entity id."""
    if result.decision is Decision.NONE:
        return Outcome(Status.NONE, "no_match")
    units = units_of(result, things)
    meant = tuple(scored.candidate.entity_id for scored in result.targets)
    if result.decision is Decision.MATCH:
        guessed = _guarded([things[one] for one in meant if one in things]) and not _unmistakable(result)
        if not guessed or len(units) == 1:
            return Outcome(Status.RESOLVED, "match", meant)
    if not units:
        return Outcome(Status.NONE, "no_match")
    if len(units) == 1:
        return Outcome(Status.RESOLVED, "same_device", _ids(units))
    return Outcome(Status.QUESTION, "ambiguous", question=ask(query, language, units, 1))


def confirm(query: str, language: str, things: Sequence[Thing]) -> Question:
    """Ask whether these are meant, all together."""
    return ask(query, language, (Unit(tuple(things), 1.0, is_set=len(things) > 1),), 1)


def only_names(query: str, language: str, things: Sequence[Thing]) -> bool:
    """Tell whether a request says nothing but which things it is about: every word of it is about one of them."""
    said = Language.load(language).hear(query).rest
    return all(any(_explained([word], [thing]) for thing in things) for word in said)


def missing(query: str, language: str) -> tuple[str, ...]:
    """Say what else a request leaves open, which is not asked about: "action" when it only names, "time"."""
    reading = RequestModel.load().read(fold(query))
    speech = Language.load(language)
    found = []
    if reading.words and not _verbs(reading, speech.hear(query).rest) and reading.kinds[NOTHING] < _ABOUT_NOTHING:
        found.append("action")
    timed = any(word.isdecimal() or word.startswith(speech.time_stems) for word in reading.words)
    if reading.actions.get(_START_TIMER, 0.0) > _TIMER_ASKED and not timed:
        found.append("time")
    return tuple(found)


def replies(question: Question, answer: str, limit: int, context_place: str | None) -> Replies:
    """Say how an answer is to be matched that `reply` does not understand."""
    anew = MatchRequest(answer, limit=limit, context_place=context_place)
    said = Language.load(question.language).hear(answer, _claimed(question, answer))
    # "The one in the bedroom" says "bedroom" here; what else an answer is made of would have to be explained, too.
    return Replies(
        within=replace(anew, query=said.rest_as_text or answer, previous=question.query, context_place=None),
        anew=anew,
        joined=replace(anew, query=f"{question.query} {answer}"),
    )


def reply(question: Question, answer: str) -> Outcome | None:
    """Understand an answer of ordinals, "all", "neither", "yes" and their like; None when it says something else."""
    speech = Language.load(question.language)
    said = speech.hear(answer, _claimed(question, answer))
    reading = RequestModel.load().read(fold(answer))
    if said.rest and reading.kinds[NOTHING] > _ABOUT_NOTHING:
        return None
    if not said.rest and (whole := _as_a_whole(question, said.meanings)) is not None:
        return whole
    if said.rest and said.meanings & {Meaning.NONE, Meaning.CANCEL}:
        return None
    content = dict(zip(reading.words, reading.content.tolist(), strict=True))
    names = [word for word in said.rest if content.get(word, 0.0) >= _NAMES]
    # Without any other word there is nothing that could be matched.
    return _as_choice(question, speech, said, names) or (None if said.rest else _again(question))


def weigh(question: Question, answer: str, matched: Matched, things: Mapping[str, Thing]) -> Outcome:
    """Find out what an answer means that `reply` did not understand. `things`: all that was found, by entity id."""
    reading = RequestModel.load().read(fold(answer))
    said = Language.load(question.language).hear(answer)
    request = len(said.rest) > 1 and bool(_verbs(reading, said.rest))
    offered = question.entity_ids
    reason = "new_request" if request else "reopened"
    inside = _inside(question, matched.within, things, said.rest)
    if _elsewhere(matched, offered, request=request and inside is None):
        return _settle(replace(question, query=answer if request else question.query), matched.anew, things, reason)
    if inside is not None:
        return inside
    if request and reading.kinds[NOTHING] > _ABOUT_NOTHING:
        return Outcome(Status.NONE, "new_request")
    opened = None
    if _fits(_meant(matched.joined), matched.anew, things, said.rest):
        joined = replace(question, query=f"{question.query} {answer}")
        opened = _opened(joined, matched.joined, things, reason)
    opened = opened or _opened(replace(question, query=answer), matched.anew, things, reason)
    if opened is None and said.meanings & {Meaning.CANCEL, Meaning.NONE}:
        return Outcome(Status.GIVEN_UP, "cancelled")
    return opened or _again(question)


def _as_choice(question: Question, speech: Language, said: Said, names: Sequence[str]) -> Outcome | None:
    """Understand an answer that picks options; `names` are its words that name something."""
    positions = _positions(question, said.meanings)
    if not positions:
        return None
    options = [option for place, option in enumerate(question.options) if place in positions]
    if Meaning.NOT in said.meanings and speech.no_is_not and Meaning.ALL not in said.meanings:
        # "No, the first" or "not the first": nobody can tell without the comma.
        return _confirm(question, [unit for option in options for unit in option.units])
    if not _explained(names, _things([unit for option in options for unit in option.units])):
        return None
    return _choose(question, options, said.meanings)


def _inside(
    question: Question, within: MatchResult, things: Mapping[str, Thing], said: Sequence[str]
) -> Outcome | None:
    """Take what an answer means among what was left to choose from; `said` are its words."""
    meant, left = _meant(within), question.entity_ids
    # That all are meant says no more than the request did.
    if not _contradicts(within) and (meant < left or len(left) == 1) and _fits(meant, within, things, said):
        if within.decision is Decision.MATCH:
            return _settle(question, within, things, "answered")
        if within.decision is Decision.AMBIGUOUS:
            return _next(question, units_of(within, things), "answered")
    there = {scored.candidate.entity_id for scored in within.ranking if _placed(scored)}
    units = [unit for unit in question.units if unit.entity_ids <= there]
    held = frozenset(thing.entity_id for thing in _things(units))
    if units and len(units) < len(question.units) and _fits(held, within, things, said):
        return _next(question, units, "answered")
    return None


def _opened(question: Question, result: MatchResult, things: Mapping[str, Thing], reason: str) -> Outcome | None:
    """Take what an answer means in the whole home, if that explains it: nonsense is near to something, too."""
    if _contradicts(result) or any(scored.scores.coverage < _COVERED for scored in result.targets):
        return None
    if result.decision is Decision.MATCH:
        return _settle(question, result, things, reason)
    if result.decision is Decision.AMBIGUOUS and not _meant(result) >= question.entity_ids:
        return _next(question, units_of(result, things), reason)
    return None


def _as_a_whole(question: Question, meanings: frozenset[Meaning]) -> Outcome | None:
    """Understand an answer to the question as a whole."""
    if Meaning.CANCEL in meanings:
        return Outcome(Status.GIVEN_UP, "cancelled")
    if question.confirms and meanings == {Meaning.YES}:
        return Outcome(Status.RESOLVED, "confirmed", _ids(question.options[0].units))
    if Meaning.NONE in meanings or meanings == {Meaning.NO} or (question.confirms and Meaning.OTHER in meanings):
        return _refused(question)
    return None


def _positions(question: Question, meanings: frozenset[Meaning]) -> frozenset[int]:
    """Say which options are meant, by their places; none when that is not said."""
    count = len(question.options)
    picked = frozenset(place for place, ordinal in enumerate(ORDINALS) if ordinal in meanings)
    single = frozenset(place for place, option in enumerate(question.options) if not _is_everything(question, option))
    picked |= frozenset([max(single)]) if Meaning.LAST in meanings else frozenset()
    if Meaning.ALL in meanings:
        return single - picked if Meaning.NOT in meanings and picked else frozenset() if picked else single
    if Meaning.BOTH in meanings:
        everything = frozenset(range(count)) - single
        return single if len(single) == _TWO else everything if len(question.things) == _TWO else frozenset()
    if not picked and Meaning.OTHER in meanings and count == _TWO and not _guarded(question.things):
        return frozenset([1])
    if Meaning.NOT in meanings and picked:
        return frozenset(range(count)) - picked
    return picked if max(picked, default=0) < count else frozenset()


def _choose(question: Question, options: Sequence[Option], meanings: frozenset[Meaning]) -> Outcome:
    """Take what was chosen: one option may leave a question, several are meant together."""
    units = tuple(unit for option in options for unit in option.units)
    if Meaning.ALL in meanings and Meaning.NOT not in meanings:
        return Outcome(Status.RESOLVED, "answered", tuple(thing.entity_id for thing in question.things))
    if Meaning.NOT in meanings and Meaning.ALL not in meanings:
        return _confirm(question, units) if _guarded(question.things) else _next(question, units, "answered")
    if len(options) > 1:
        return Outcome(Status.RESOLVED, "answered", _ids(units))
    return _next(question, units, "answered")


def _settle(question: Question, result: MatchResult, things: Mapping[str, Thing], reason: str) -> Outcome:
    """Accept a match, but for what is guarded only one that cannot be mistaken."""
    meant = _meant(result)
    units = [unit for unit in question.units if not unit.is_set and unit.entity_ids & meant]
    known = frozenset().union(*(unit.entity_ids for unit in units))
    units += [Unit((things[one],), 1.0) for one in sorted(meant - known) if one in things]
    if _guarded(_things(units)) and not _unmistakable(result):
        return _confirm(question, units)
    return Outcome(Status.RESOLVED, reason, _ids(units))


def _next(question: Question, units: Sequence[Unit], reason: str) -> Outcome:
    """Resolve to the only one that is left, or to a set that is the likeliest; ask on otherwise."""
    if not units:
        return _again(question)
    first = max(units, key=lambda unit: unit.weight)
    every = frozenset().union(*(unit.entity_ids for unit in units))
    if first.entity_ids == every and (len(units) == 1 or not _guarded(first.things)):
        return Outcome(Status.RESOLVED, reason, _ids([first]))
    if question.round >= MAX_ROUNDS:
        return Outcome(Status.GIVEN_UP, "too_many_rounds")
    asked = ask(question.query, question.language, units, question.round + 1)
    return Outcome(Status.QUESTION, "narrower", question=asked)


def _confirm(question: Question, units: Sequence[Unit]) -> Outcome:
    """Ask whether this is what is meant; of several, which."""
    if question.round >= MAX_ROUNDS:
        return Outcome(Status.GIVEN_UP, "not_certain")
    # Refusing what is to be confirmed leaves the rest.
    asked = replace(ask(question.query, question.language, units, question.round + 1), units=question.units)
    return Outcome(Status.QUESTION, "not_certain", question=asked)


def _refused(question: Question) -> Outcome:
    """Go on with what was not offered yet."""
    offered = frozenset(one for option in question.options for one in option.entity_ids)
    left = [unit for unit in question.units if not unit.entity_ids & offered]
    if not left:
        return Outcome(Status.GIVEN_UP, "refused")
    return _confirm(replace(question, units=tuple(left)), left)


def _again(question: Question) -> Outcome:
    if question.round >= MAX_ROUNDS:
        return Outcome(Status.GIVEN_UP, "not_understood")
    sorry = Language.load(question.language).questions["again"]
    text = question.text if question.text.startswith(sorry) else f"{sorry} {question.text}"
    asked = replace(question, text=text, round=question.round + 1)
    return Outcome(Status.QUESTION, "not_understood", question=asked)


def _elsewhere(matched: Matched, offered: frozenset[str], *, request: bool) -> bool:
    """Tell whether an answer is about something that was not offered."""
    anew = matched.anew
    if anew.decision is not Decision.MATCH or _meant(anew) & offered:
        return False
    inside = matched.within.decision is Decision.MATCH and not _contradicts(matched.within)
    named = anew.targets[0].scores.lexical >= _IN_FULL
    return (request or named) and not (inside and matched.within.targets[0].scores.lexical >= _IN_FULL)


def _contradicts(result: MatchResult) -> bool:
    """Tell whether a place was said where nothing is that was found."""
    return bool(result.targets) and all(scored.scores.place < 0 for scored in result.targets)


def _fits(meant: frozenset[str], answered: MatchResult, things: Mapping[str, Thing], said: Sequence[str]) -> bool:
    """Tell whether an answer may be about these: what it names they explain, or a model may know better than words."""
    coverage = {scored.candidate.entity_id: scored.scores for scored in answered.ranking}
    scores = [coverage.get(one) for one in meant]
    if not meant or any(one is None for one in scores):
        return False
    if all(one.coverage >= _IN_FULL for one in scores if one):
        return True
    if _of_another_kind(said, [things[one] for one in meant if one in things]):
        return False
    return all(one.coverage >= _COVERED or one.dense is not None for one in scores if one)


def _of_another_kind(said: Sequence[str], things: Sequence[Thing]) -> bool:
    """Tell whether a word is for a place, or a kind of thing, that these are not."""
    vocabulary = Vocabulary.load()
    telling = vocabulary.places | KIND_OF_CONCEPT.keys()
    about = [vocabulary.find(fold(_text(thing))) for thing in things]
    return any(
        (concepts := vocabulary.find(word)) & telling and not all(concepts & own for own in about) for word in said
    )


def _unmistakable(result: MatchResult) -> bool:
    """Tell whether what was found was said by its very name, or by a place, and nothing else was."""
    meant = _meant(result)
    return any(
        all(said(scored) == (scored.candidate.entity_id in meant) for scored in result.ranking)
        for said in (_named, _placed)
    )


def _named(scored: Scored) -> bool:
    return scored.scores.lexical >= _IN_FULL


def _placed(scored: Scored) -> bool:
    return scored.scores.place > 0


def _verbs(reading: Reading, said: Sequence[str]) -> list[str]:
    """Give the words that name nothing and yet are said around no choice: those of a request."""
    content = dict(zip(reading.words, reading.content.tolist(), strict=True))
    return [word for word in said if not word.isdecimal() and content.get(word, 1.0) < _NAMES]


def _claimed(question: Question, answer: str) -> frozenset[str]:
    """Give the words of names in an answer, which must not be taken for ordinals and the like."""
    said = frozenset(tokens(fold(answer)))
    labels = [tokens(fold(one.label)) for one in question.options if not _is_everything(question, one)]
    names = [name for thing in question.things for name in (thing.name, thing.area, thing.floor) if name]
    in_full = [words for name in names if said.issuperset(words := tokens(fold(name)))]
    return frozenset(word for words in [*labels, *in_full] for word in words)


def _explained(words: Sequence[str], things: Sequence[Thing]) -> bool:
    """Tell whether each of these words is about each of these things."""
    if not words:
        return True
    texts = [_text(thing) for thing in things]
    written = Words()
    spelled = Spelling(list(enumerate(texts)), len(texts), written).explained(written.likeness(words))
    vocabulary = Vocabulary.load()
    concepts = [vocabulary.find(fold(text)) for text in texts]
    return all(
        spelled[row, column] >= _EXPLAINED or vocabulary.find(word) & concepts[column]
        for row, word in enumerate(words)
        for column in range(len(texts))
    )


def _text(thing: Thing) -> str:
    return " ".join(filter(None, (thing.name, thing.area, thing.floor, thing.kind, thing.domain)))


def _is_everything(question: Question, option: Option) -> bool:
    """Tell whether an option is all the others together."""
    return len(question.options) > 1 and option.units[0].is_set and {*option.entity_ids} == question.entity_ids


def _guarded(things: Sequence[Thing]) -> bool:
    return any(thing.guarded for thing in things)


def _meant(result: MatchResult) -> frozenset[str]:
    return frozenset(scored.candidate.entity_id for scored in result.targets)


def _things(units: Sequence[Unit]) -> list[Thing]:
    return [thing for unit in units for thing in unit.things]


def _ids(units: Sequence[Unit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(thing.entity_id for thing in _things(units)))
