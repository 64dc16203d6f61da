"""MCP servers at an address, with a real server of the protocol's own package behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.agent.tools import running, servers
from mindbot_tasks.llm.agent.tools.base import Tool
from tests.conftest import free_port
from tests.llm.agent.having import agent, call, settings

pytestmark = pytest.mark.usefixtures("shared")

SERVER = """
import sys, time
import anyio, uvicorn
from mcp.server.fastmcp import Context, FastMCP

port = int(sys.argv[1])
server = FastMCP("far", json_response=True, log_level="ERROR")  # the manner in which a silent call is hardest to end

@server.tool()
def add(a: int, b: int) -> str:
    "Adds."
    return str(a + b)

@server.tool()
async def sleep(seconds: float) -> str:
    "Sleeps."
    await anyio.sleep(seconds)
    return "slept"

@server.tool()
async def grow(name: str, context: Context) -> str:
    "Has one more tool from now on."
    server.add_tool(lambda: "new", name=name, description="Was not there before.")
    await context.session.send_tool_list_changed()
    return "grown"

inner = server.streamable_http_app()

async def guarded(scope, receive, send):
    if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != b"Bearer s3cret":
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await inner(scope, receive, send)

uvicorn.run(guarded, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
"""
#: generous: machines of CI are slow
PATIENCE_S = 60.0


class Far:
    """The server as a process that can be killed and started again at the same address."""

    def __init__(self, script: Path) -> None:
        self._script = script
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(self._script), str(self.port)], env={**os.environ, "PYTHONWARNINGS": "ignore"}
        )
        eventually(self._is_up)

    def _is_up(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    script = tmp_path_factory.mktemp("mcp") / "server.py"
    script.write_text(SERVER)
    server = Far(script)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def far(program: Far) -> Iterator[Far]:
    yield program
    servers.stop()


def having(far: Far, **fields: Any) -> Settings:
    server = {"url": f"http://127.0.0.1:{far.port}/mcp", "headers": {"Authorization": "Bearer s3cret"}, "timeout": 60,
              "start_timeout": 60}  # fmt: skip
    return settings(agent=agent(mcp={"far": server | fields}))


def found(given: Settings) -> dict[str, Tool]:
    return {one.name: one for one in servers.tools(given, patience_s=PATIENCE_S)}


def at_once(given: Settings) -> None:
    """As if the pause between two starts of the server were over."""
    for server in servers.servers(given):
        server._not_before = 0


def test_tools_at_an_address_are_found_called_and_limited(far: Far) -> None:
    given = having(far, timeout=6)
    tools = found(given)
    assert set(tools) == {"far_add", "far_sleep", "far_grow"}
    assert running.run(tools["far_add"], {"a": 2, "b": 3}, call(given)).text == "5"
    slow = running.run(tools["far_sleep"], {"seconds": 60}, call(given))
    assert slow.outcome == "timeout"
    # the session is still there for the others
    assert running.run(tools["far_add"], {"a": 2, "b": 4}, call(given)).text == "6"
    [server] = servers.servers(given)
    assert server.version == 1


def test_a_wrong_key_costs_the_tools_and_is_told_to_operators(far: Far) -> None:
    given = having(far, headers={"Authorization": "Bearer wrong"})
    assert found(given) == {}
    [server] = servers.servers(given)
    assert server.trouble == "HTTP 401"


def test_new_tools_are_seen_when_the_server_says_so(far: Far) -> None:
    given = having(far)
    tools = found(given)
    before = servers.versions(given)
    assert running.run(tools["far_grow"], {"name": "fresh"}, call(given)).text == "grown"
    eventually(lambda: "far_fresh" in found(given))
    assert servers.versions(given) != before
    assert running.run(found(given)["far_fresh"], {}, call(given)).text == "new"


def test_a_server_that_is_gone_is_told_to_the_model_and_used_again_when_it_is_back(far: Far) -> None:
    given = having(far)
    tools = found(given)
    assert running.run(tools["far_add"], {"a": 1, "b": 1}, call(given)).text == "2"
    far.kill()
    gone = running.run(tools["far_add"], {"a": 1, "b": 1}, call(given))
    assert (gone.outcome, gone.text) == ("crashed", "the tool is not available now")
    assert set(found(given)) == set(tools)  # what it offered last
    far.start()
    at_once(given)
    assert running.run(tools["far_add"], {"a": 3, "b": 1}, call(given)).text == "4"
    far.kill()
    far.start()  # it knows nothing of our session, and we nothing of its end
    at_once(given)
    assert running.run(tools["far_add"], {"a": 3, "b": 2}, call(given)).text == "5"
