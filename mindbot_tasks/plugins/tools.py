"""For authors of tools: marks a function as a tool of the agent, and finds the tools that other packages bring.

```python
from mindbot_tasks.plugins.tools import Asker, tool


@tool(effects=True, timeout_s=10)
def book_room(room: str, hours: int, asker: Asker) -> str:
    "Books a meeting room for whoever asks."
    ...
```

It is named in `agent.langchain.tools` as `package.module:book_room`, or a package announces it as an entry point of the
group `mindbot.tools`, and then its name there is enough.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, overload

GROUP = "mindbot.tools"
MARKS = "__mindbot_tool__"

F = TypeVar("F", bound=Callable[..., Any])


class ToolError(Exception):
    """Raised by a tool: the model, and perhaps the user, read these words. Any other error is kept to ourselves."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks; a tool that has a parameter of this type gets it, and the model does not see that parameter."""

    user: str  #: stable for one person on one platform: "dingtalk:user01"
    conversation: str  #: stable for one conversation
    platform: str
    language: str  #: "en" or "zh"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a function says about itself as a tool."""

    name: str = ""  #: "": that of the function
    effects: bool = False  #: it changes something, so a person is asked before it runs
    outside: bool = False  #: its result holds words of strangers: mails, pages, tickets
    timeout_s: float | None = None


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str = "", effects: bool = False, outside: bool = False, timeout_s: float | None = None
) -> Callable[[F], F]: ...
def tool(
    function: Any = None,
    /,
    *,
    name: str = "",
    effects: bool = False,
    outside: bool = False,
    timeout_s: float | None = None,
) -> Any:
    """Mark a function as a tool; its parameters need type hints, and its docstring tells the model what it is for."""

    def mark(marked: F) -> F:
        setattr(marked, MARKS, Marks(name, effects, outside, timeout_s))
        return marked

    return mark(function) if function is not None else mark


def announced() -> dict[str, EntryPoint]:
    """The tools that installed packages announce, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(path: str) -> Any:
    """What stands at "package.module:name". Raises whatever the import raises, or AttributeError or ValueError."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError("a dotted path is written package.module:name")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
