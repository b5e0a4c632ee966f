"""Query and candidates to a decision. Pure: no Home Assistant, no I/O, no model."""

from .evidence import Background
from .lexicon import Lexicon
from .matcher import Matcher
from .types import Candidate, Decision, MatchRequest, MatchResult, Reason, Scored, Scores, Weights

__all__ = [
    "Background",
    "Candidate",
    "Decision",
    "Lexicon",
    "MatchRequest",
    "MatchResult",
    "Matcher",
    "Reason",
    "Scored",
    "Scores",
    "Weights",
]
