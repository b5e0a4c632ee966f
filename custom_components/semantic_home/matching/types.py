"""The plain values that matching takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import json
from pathlib import Path


class Decision(StrEnum):
    """What a request came to."""

    MATCH = "match"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing that a request may mean.

    `names`: its name first, then its aliases. `places`: names of where it is, by id: the area's (with its aliases),
    the floor's. `kind_words`: words for what kind of thing it is, from Home Assistant's own translations.
    """

    entity_id: str
    names: tuple[str, ...]
    area_id: str | None = None
    area: str | None = None
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """What each channel says of one candidate.

    `dense`: standard deviations by which the model finds the query nearer to it than to the rest of the home; None
    without a model. `lexical`: 0-1, share of a name's letters found in the query. `place`: 1 when the query names
    where it is, -1 when it names another place, else 0. `kind`: 0-1, share of its kind's letters in the query.
    """

    dense: float | None
    lexical: float
    coverage: float
    place: float
    kind: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Which channel carried a candidate, and the text of the home that it matched."""

    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score, its calibrated probability (0-1) of being meant, and why."""

    candidate: Candidate
    score: float
    confidence: float
    scores: Scores
    reason: Reason


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """A query and its limits. `allowed` are the entity ids that may be answered; None means all."""

    query: str
    allowed: frozenset[str] | None = None
    limit: int = 5
    min_confidence: float | None = None
    context_area: str | None = None


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The decision, how sure it is (0-1), what it is about, and the ranking it came from, best first."""

    decision: Decision
    confidence: float
    targets: tuple[Scored, ...]
    ranking: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A linear model over the channels; its sum is a candidate's score, which ranks."""

    bias: float
    dense: float
    lexical: float
    coverage: float
    place: float
    kind: float
    context: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a score, and its lead over the best other candidate, to the probability of being meant.

    A name that is half said means much where no other resembles it, and little among its likes. Leads count up to
    `farthest`. `nobody` is the score of a rival that is always there, so that a candidate without others (a home of
    one lamp, a filter that leaves one) does not win by default.
    """

    bias: float
    score: float
    lead: float
    farthest: float
    nobody: float


@dataclass(frozen=True, slots=True)
class Weights:
    """The numbers of the decision (weights.json says where they are from).

    From probability `match_at` on the best candidate is a match. Else, when its score is at least `ask_from`, it is
    asked about, together with all that are less than `margin` behind it; below that nothing was meant.
    """

    with_model: Line
    without_model: Line
    calibration: Calibration
    match_at: float
    ask_from: float
    margin: float

    @classmethod
    def load(cls) -> Weights:
        """Read the committed weights. Blocking."""
        raw = json.loads(Path(__file__).with_name("weights.json").read_text("utf-8"))
        return cls(
            with_model=Line(**raw["with_model"]),
            without_model=Line(**raw["without_model"]),
            calibration=Calibration(**raw["calibration"]),
            match_at=raw["match_at"],
            ask_from=raw["ask_from"],
            margin=raw["margin"],
        )
