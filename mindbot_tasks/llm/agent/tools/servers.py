"""The tools of the MCP servers of the configuration; each server is a group of its own name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.agent import McpServerSettings
from mindbot_tasks.llm.agent.tools.base import Call, Tool
from mindbot_tasks.llm.agent.tools.workflows import safe

if TYPE_CHECKING:  # its library takes a while to load, so only who has servers does
    from mindbot_tasks.llm.agent.mcp_bridge import Offer, Server

#: an answer waits so long for servers that were not needed before
PATIENCE_S = 5.0

_lock = threading.Lock()
_servers: dict[str, Server] = {}
_waited_for: set[str] = set()


def servers(settings: Settings) -> list[Server]:
    """Those of the configuration, started or not; one whose settings have changed is replaced."""
    wanted: Mapping[str, McpServerSettings] = settings.agent.mcp if settings.agent is not None else {}
    if not wanted and not _servers:
        return []
    from mindbot_tasks.llm.agent.mcp_bridge import Server

    with _lock:
        old = [name for name, server in _servers.items() if wanted.get(name) != server.settings]
        gone = [_servers.pop(name) for name in old]
        for name, given in wanted.items():
            if name not in _servers:
                _servers[name] = Server(name, given)
        found = [_servers[name] for name in wanted]
    for server in gone:
        server.stop()
    return found


def stop() -> None:
    """End all servers of this process."""
    with _lock:
        ending = list(_servers.values())
        _servers.clear()
        _waited_for.clear()
    for server in ending:
        server.stop()


def tools(settings: Settings, *, patience_s: float = PATIENCE_S) -> list[Tool]:
    """What the servers offer; those that are away, with what they offered last."""
    found = servers(settings)
    starting = [(server, server.start()) for server in found]
    for server, up in starting:
        if server.name not in _waited_for:
            _waited_for.add(server.name)
            with suppress(NotYet, Unavailable):
                up.result(timeout=patience_s)
    return [_tool(server, offer) for server in found for offer in server.offers]


def versions(settings: Settings) -> tuple[int, ...]:
    """Another value than before: the tools have changed. Starts those that are away, and waits for none."""
    found = servers(settings)
    for server in found:
        server.start()
    return tuple(server.version for server in found)


def _tool(server: Server, offer: Offer) -> Tool:
    def run(given: Mapping[str, Any], call: Call) -> str:
        return server.call(offer.name, given, call.deadline)

    rule = server.settings.confirm
    return Tool(
        name=f"{safe(server.name)}_{safe(offer.name)}"[:64],
        description=offer.description,
        schema=offer.schema,
        run=run,
        group=server.name,
        effects=rule == "always" or (rule == "effects" and not offer.only_reads),
        outside=True,
        timeout_s=server.settings.timeout,
    )
