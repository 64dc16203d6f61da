"""Which tools an agent has: those that the settings name, with their other names, minus what a bot may not use."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Sentence
from mindbot_tasks.llm.agent.tools import calculator, clock, files, knowledge, person, servers, web_search, workflows
from mindbot_tasks.llm.agent.tools.base import Tool
from mindbot_tasks.llm.agent.tools.yours import Unusable
from mindbot_tasks.llm.agent.tools.yours import find as find_yours
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.plugins import tools as plugins

log = structlog.get_logger(__name__)

_BUILT_IN = {
    tool.name: tool
    for tool in (
        calculator.CALCULATOR, clock.GET_TIME, person.GET_USER_INFO,
        files.LIST_FILES, files.READ_FILE, files.WRITE_FILE,
    )
}  # fmt: skip
#: other names -> ours
ALIASES = MappingProxyType(
    {
        "calc": "calculator", "math": "calculator", "time": "get_time", "clock": "get_time", "datetime": "get_time",
        "get_current_time": "get_time", "user_info": "get_user_info", "dify": workflows.GROUP,
        "workflows": workflows.GROUP, "search": "web_search", "file": files.GROUP, "file_operations": files.GROUP,
        "knowledge": "knowledge_search", "knowledge_base": "knowledge_search", "rag": "knowledge_search",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """The tools by name, and why others that were named are not among them."""

    tools: Mapping[str, Tool]
    missing: Mapping[str, str]  #: name in the settings -> why


def our_name(name: str) -> str:
    return ALIASES.get(name.strip().lower(), name.strip())


def of_settings(settings: Settings, wishes: Wishes) -> Found:
    """Every tool that `agent.langchain.tools` names, and those of all MCP servers, as far as `wishes` allow."""
    agent = settings.agent
    named = agent.langchain.tools if agent is not None and agent.langchain is not None else []
    tools: list[Tool] = []
    missing: dict[str, str] = {}
    for said in dict.fromkeys(named):
        try:
            found = _called(our_name(said), settings, wishes)
        except Unusable as exc:
            missing[said] = str(exc)
            continue
        if isinstance(found, str):
            missing[said] = found
        else:
            tools += found
    tools += servers.tools(settings)
    return Found(_by_name([_as_configured(tool, settings) for tool in tools if _may_use(tool, wishes)]), missing)


def missing(settings: Settings) -> dict[str, str]:
    """Tools that the settings name and that are not there, with the reason; loads no code of others."""
    named = (
        settings.agent.langchain.tools if settings.agent is not None and settings.agent.langchain is not None else []
    )
    found: dict[str, str] = {}
    for said in named:
        if ":" in said or our_name(said) in plugins.announced():
            continue
        tools = _called(our_name(said), settings, Wishes())
        if isinstance(tools, str):
            found[said] = tools
    return found


def _called(name: str, settings: Settings, wishes: Wishes) -> Sequence[Tool] | str:
    """The tool or tools of this name, or why there are none. Raises Unusable."""
    if name in _BUILT_IN:
        return [_BUILT_IN[name]]
    if name == files.GROUP:
        return [tool for tool in _BUILT_IN.values() if tool.group == files.GROUP]
    if name == workflows.GROUP:
        return workflows.tools(settings, wishes) or Sentence("agent.no_workflows")
    if name == "web_search":
        wanted = settings.agent.tools.web_search if settings.agent is not None else None
        return [web_search.tool(wanted)] if wanted is not None else Sentence("agent.no_search")
    if name == "knowledge_search":
        search = knowledge.tool()
        return [search] if search is not None else Sentence("agent.no_knowledge")
    if settings.agent is not None and name in settings.agent.mcp:
        return []  # they come with the servers
    yours = find_yours(name)
    return [yours] if yours is not None else Sentence("agent.no_such_tool")


def _may_use(tool: Tool, wishes: Wishes) -> bool:
    return not wishes.tools or tool.is_called({our_name(name) for name in wishes.tools})


def _as_configured(tool: Tool, settings: Settings) -> Tool:
    """With a confirmation where the settings ask for one."""
    wanted = settings.agent.tools.confirm if settings.agent is not None else []
    return replace(tool, effects=True) if tool.is_called({our_name(name) for name in wanted}) else tool


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    found: dict[str, Tool] = {}
    for tool in tools:
        if found.setdefault(tool.name, tool) is not tool:
            log.warning("tool_name_twice", tool=tool.name)
    return found


_lock = threading.Lock()
_known: dict[tuple[object, ...], Found] = {}
_known_for: Settings | None = None


def toolset(settings: Settings, wishes: Wishes) -> Found:
    """As `of_settings`, found once for as long as the settings and the offers of the servers stay."""
    global _known_for
    key = (wishes.tools, wishes.workflows, servers.versions(settings))
    with _lock:
        if _known_for is not settings:
            _known.clear()
            _known_for = settings
        if key in _known:
            return _known[key]
    found = of_settings(settings, wishes)
    for name, why in found.missing.items():
        log.warning("tool_missing", tool=name, reason=why)
    # by the offers as they are now: to find them has started the servers
    key = (wishes.tools, wishes.workflows, servers.versions(settings))
    with _lock:
        if len(_known) > 50:
            _known.clear()
        return _known.setdefault(key, found)
