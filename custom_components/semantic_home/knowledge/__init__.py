"""Patterns of automations, how a home fills them, and what to suggest. Pure: no Home Assistant, its own data files."""

from .binding import Binding, bind
from .footprint import Footprint, footprint
from .home import IGNORE_LABELS, Home, HomeEntity
from .library import USER_PREFIX, UserPatterns, load_library, read_user_patterns
from .pattern import Category, Kind, Pattern, PatternError, Role
from .reading import read_pattern
from .suggesting import Automation, Coverage, Found, Knowing, Suggestion, find_patterns, suggest
from .template import automation_of, title_of, why_of

__all__ = [
    "IGNORE_LABELS",
    "USER_PREFIX",
    "Automation",
    "Binding",
    "Category",
    "Coverage",
    "Footprint",
    "Found",
    "Home",
    "HomeEntity",
    "Kind",
    "Knowing",
    "Pattern",
    "PatternError",
    "Role",
    "Suggestion",
    "UserPatterns",
    "automation_of",
    "bind",
    "find_patterns",
    "footprint",
    "load_library",
    "read_pattern",
    "read_user_patterns",
    "suggest",
    "title_of",
    "why_of",
]
