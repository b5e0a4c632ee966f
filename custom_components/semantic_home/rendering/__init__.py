"""What an automation, script, scene or blueprint does, in plain words. Knows nothing of Home Assistant's objects.

A configuration may hold secrets, those of `!secret` already put in their places. So it is never searched for what must
not be told: only fields that are known to be harmless are read, and of them only values of the expected shape.
"""

from .names import NamedEntity, Names
from .redaction import redacted
from .render import Blueprint, Rendering, render_automation, render_blueprint, render_scene, render_script

__all__ = [
    "Blueprint",
    "NamedEntity",
    "Names",
    "Rendering",
    "redacted",
    "render_automation",
    "render_blueprint",
    "render_scene",
    "render_script",
]
