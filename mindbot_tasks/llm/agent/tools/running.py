"""Runs one call of a tool: arguments checked, time limited, health counted, and words for the model in any case."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.errors import DeadlineExceeded, FarSideError, Rejected, Stopped, Throttled
from mindbot_tasks.core.metrics import TOOL_SECONDS
from mindbot_tasks.llm.agent.apart import apart
from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed
from mindbot_tasks.stores import breaker, performance

log = structlog.get_logger(__name__)

Outcome = Literal["ok", "refused", "failed", "timeout", "away", "crashed"]
"""`refused`: wrong arguments. `failed`: it said so itself. `away`: set aside after many failures."""

#: outcomes that say something bad about the tool
_BAD = frozenset({"timeout", "crashed"})


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call."""

    text: str  #: for the model
    outcome: Outcome
    took_ms: int

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"


def key_of(tool: Tool) -> str:
    """Under which name its health is counted."""
    return f"tool:{tool.name}"


def checked(tool: Tool, arguments: Any) -> Mapping[str, Any]:
    """The arguments as the tool takes them. Raises ToolFailed."""
    if not isinstance(arguments, Mapping):
        raise ToolFailed("wrong arguments: they are no object")
    if tool.check is not None:
        return tool.check(arguments)
    try:
        # a registry of its own: by default references to other addresses would be fetched
        validator = Draft202012Validator(dict(tool.schema), registry=Registry())
        wrong: ValidationError | None = best_match(validator.iter_errors(dict(arguments)))
    except (SchemaError, Unresolvable, RecursionError) as exc:
        log.warning("tool_schema_unusable", tool=tool.name, error=type(exc).__name__)
        raise ToolFailed("the tool cannot be used: its schema is broken") from None
    if wrong is not None:
        where = ".".join(str(part) for part in wrong.absolute_path)
        raise ToolFailed(f"wrong arguments: {f'{where}: ' if where else ''}{wrong.message[:200]}")
    return arguments


def wrong(tool: Tool, arguments: Any) -> str:
    """What is wrong with the arguments, for the model; "" if nothing is."""
    try:
        checked(tool, arguments)
    except ToolFailed as exc:
        return str(exc)
    return ""


def run(tool: Tool, arguments: Any, call: Call) -> Result:
    """Call it. Raises only a Stopped, or DeadlineExceeded when the whole answer has no time left."""
    started = time.monotonic()
    outcome: Outcome = "crashed"
    leave = breaker.ask(key_of(tool))
    if leave.reason:
        return _ended(tool, "away", "the tool is not available now; do without it", started)
    try:
        about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool.name}
        with telemetry.span(f"execute_tool {tool.name}", attributes=about) as traced:
            text, outcome = _try(tool, arguments, call)
            traced.set({"mindbot.outcome": outcome})
            if outcome in _BAD:
                traced.fail(outcome)
    except Stopped:
        outcome = "failed"
        raise
    finally:
        breaker.report(key_of(tool), "bad" if outcome in _BAD else "ok", leave)
        performance.note(key_of(tool), ok=outcome not in _BAD, seconds=time.monotonic() - started)
    return _ended(tool, outcome, text, started)


def _try(tool: Tool, arguments: Any, call: Call) -> tuple[str, Outcome]:
    settings = call.settings.agent.tools if call.settings.agent is not None else None
    limit_s = tool.timeout_s or (settings.timeout if settings is not None else 20.0)
    cap = settings.max_result_chars if settings is not None else 8000
    try:
        good = checked(tool, arguments)
    except ToolFailed as exc:
        return str(exc), "refused"
    inner = replace(call, deadline=call.deadline.within(limit_s))
    try:
        # a little more, so that a tool which looks at its deadline can say so itself
        text = apart(key_of(tool), lambda _attempt: tool.run(good, inner), call.deadline.within(limit_s + 0.5))
    except Stopped:
        raise
    except ToolFailed as exc:
        return str(exc), "failed"
    except DeadlineExceeded:
        call.deadline.check()
        return f"the tool did not answer within {limit_s:g} seconds", "timeout"
    except Throttled:
        return "the tool is overloaded; do without it", "failed"
    except Rejected as exc:
        log.warning("tool_refused", tool=tool.name, kind=exc.kind, status=exc.status)
        return "the tool refused", "failed"
    except FarSideError as exc:
        log.warning("tool_unavailable", tool=tool.name, kind=exc.kind, status=exc.status)
        return "the tool is not available now", "timeout" if exc.kind == "timeout" else "crashed"
    except Exception as exc:  # noqa: BLE001 - code of others; its words stay here
        log.warning("tool_crashed", tool=tool.name, error=type(exc).__name__)
        return "the tool failed", "crashed"
    if not isinstance(text, str):
        text = str(text)
    return text if len(text) <= cap else f"{text[:cap]}\n[the rest was cut]", "ok"


def _ended(tool: Tool, outcome: Outcome, text: str, started: float) -> Result:
    seconds = time.monotonic() - started
    TOOL_SECONDS.labels(tool.name, outcome).observe(seconds)
    return Result(text, outcome, int(seconds * 1000))
