"""What a tool is, what it knows about the call, and how it says that something did not work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.base import Question


class ToolFailed(Exception):
    """A tool could not do it; the words are for the model, and hold nothing internal."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool may know about who asks, and how long it may take."""

    settings: Settings
    question: Question
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    name: str  #: as the model calls it
    description: str  #: for the model: when to use it
    schema: Mapping[str, Any]  #: JSON schema of the arguments, an object
    run: Callable[[Mapping[str, Any], Call], str]  #: raises ToolFailed, or a FarSideError, or a Stopped
    group: str = ""  #: under which it can be named in settings, together with others
    effects: bool = False  #: it changes something outside of the conversation, so a person is asked before
    outside: bool = False  #: its results come from outside, so they may hold instructions of strangers
    timeout_s: float | None = None  #: None: as the settings say
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    """The arguments as they are passed on; raises ToolFailed for wrong ones. None: by the schema."""

    def is_called(self, names: object) -> bool:
        """Whether a list of names of the settings means this tool."""
        return isinstance(names, list | tuple | set | frozenset) and (
            self.name in names or (bool(self.group) and self.group in names)
        )


def arguments(properties: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON schema of a few arguments."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
