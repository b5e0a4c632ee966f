"""The plain values that matching takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .guarded import is_guarded


class Decision(StrEnum):
    """What a request came to."""

    MATCH = "match"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class Caution(StrEnum):
    """How much a wrong match costs, compared with a question."""

    CAREFUL = "careful"
    BALANCED = "balanced"
    EAGER = "eager"


@dataclass(frozen=True, slots=True)
class Place:
    """An area or a floor. `id` is unique among both; `names`: its name first, then its aliases."""

    id: str
    form: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing that a request may mean.

    `names`: its name first, then its aliases. `places`: the ids of where it is, its area's and its floor's.
    `related`: what else it is known by, its device and labels.
    """

    entity_id: str
    names: tuple[str, ...]
    domain: str = ""
    device_class: str | None = None
    area: str | None = None
    places: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Its domain, with its device class if it has one."""
        return f"{self.domain}.{self.device_class}" if self.device_class else self.domain

    @property
    def guarded(self) -> bool:
        """Tell whether it is never acted on by a guess."""
        return is_guarded(self.entity_id, self.device_class, (*self.names, *self.related))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model finds of a query, as standard deviations above the rest of the home (Background says how).

    `names` and `sentences` by entity id: nearness to what a thing is called, and to what is said around it. `places` by
    a place's id. `heads`: what each of several heads of the model says of the sentences, by the head's name and entity
    id; empty where there is but one.
    """

    names: Mapping[str, float]
    sentences: Mapping[str, float]
    places: Mapping[str, float] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """What somebody who was asked in this language said that a request means."""

    query: str
    entity_ids: frozenset[str]
    language: str


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """A query and its limits.

    `allowed` are the entity ids that may be answered; None means all. `context_place` is where the asking device
    stands. `previous` is what was asked before, if this goes on from it. `explain`: say how the decision came about.
    `learned`: what requests meant before that were made in the same circumstances, the latest first; `recalls`: that
    is asked for.
    """

    query: str
    allowed: frozenset[str] | None = None
    limit: int = 5
    min_confidence: float | None = None
    context_place: str | None = None
    previous: str | None = None
    caution: Caution = Caution.BALANCED
    explain: bool = False
    learned: tuple[Learned, ...] = ()
    recalls: bool = True


@dataclass(frozen=True, slots=True)
class Scores:
    """What each channel says of one candidate.

    `dense`: standard deviations by which the model finds the query nearer to it than to the rest of the home; None
    without a model. `lexical`: 0-1, how much of its name is in the query. `coverage`: 0-1, how much of what the
    query names is explained by it. `place`: 1 when the query names where it is, -1 when it names another place, else
    0. `kind`: 0-1, the probability that such a kind of thing is meant. `heads`: what `dense` is made of where the model
    has several, of the same unit; a head that was not asked about the candidate is not there.
    """

    dense: float | None
    lexical: float
    coverage: float
    place: float
    kind: float
    heads: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Which channel carried a candidate, and the text of the home that it matched."""

    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its calibrated probability (0-1) of being meant, alone or among others, and why."""

    candidate: Candidate
    confidence: float
    scores: Scores
    reason: Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a decision came about.

    `kinds`, `forms`: what the request was read as, the probable first. `content`: how much each word names something.
    `grammar`: what Home Assistant's own sentences make of it. `readings`: what it can mean, the probable first, each
    with its probability, its targets and what every feature adds to its score.
    """

    kinds: dict[str, float]
    forms: dict[str, float]
    content: dict[str, float]
    grammar: str | None
    readings: tuple[tuple[float, tuple[str, ...], dict[str, float]], ...]


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The decision, how sure it is (0-1), what it is about, and the ranking it came from, best first.

    `options`: what was weighed, the probable first: probability and entity ids of each set of things that may be meant.
    """

    decision: Decision
    confidence: float
    targets: tuple[Scored, ...]
    ranking: tuple[Scored, ...]
    options: tuple[tuple[float, tuple[str, ...]], ...] = ()
    explanation: Explanation | None = None
