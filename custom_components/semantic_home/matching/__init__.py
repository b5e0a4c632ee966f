"""Query and candidates to a decision. Pure: no Home Assistant, no model; what it reads are its own data files."""

from .aliases import MAX_LENGTH as MAX_ALIAS_LENGTH, is_good_alias
from .answers import Language, languages
from .clarification import Matched, Outcome, Replies, Status, begin, confirm, missing, only_names, replies, reply, weigh
from .conjunction import halves
from .evidence import Background, compared, hybrid
from .grammar import Grammar
from .guarded import is_guarded
from .home import Home
from .lexicon import Lexicon, Spelling, Words
from .matcher import Matcher
from .negation import negates
from .questions import Ambiguity, Option, Question, Thing
from .request_model import RequestModel
from .request_names import named_words
from .types import (
    Candidate,
    Caution,
    Decision,
    Evidence,
    Explanation,
    Learned,
    MatchRequest,
    MatchResult,
    Place,
    Reason,
    Scored,
    Scores,
)
from .vocabulary import Vocabulary
from .weights import Weights
from .wishes import Wish, read_wish, toggles

__all__ = [
    "MAX_ALIAS_LENGTH",
    "Ambiguity",
    "Background",
    "Candidate",
    "Caution",
    "Decision",
    "Evidence",
    "Explanation",
    "Grammar",
    "Home",
    "Language",
    "Learned",
    "Lexicon",
    "MatchRequest",
    "MatchResult",
    "Matched",
    "Matcher",
    "Option",
    "Outcome",
    "Place",
    "Question",
    "Reason",
    "Replies",
    "RequestModel",
    "Scored",
    "Scores",
    "Spelling",
    "Status",
    "Thing",
    "Vocabulary",
    "Weights",
    "Wish",
    "Words",
    "begin",
    "compared",
    "confirm",
    "halves",
    "hybrid",
    "is_good_alias",
    "is_guarded",
    "languages",
    "missing",
    "named_words",
    "negates",
    "only_names",
    "read_wish",
    "replies",
    "reply",
    "toggles",
    "weigh",
]
