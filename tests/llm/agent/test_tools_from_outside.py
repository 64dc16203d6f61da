"""Tools that come from outside: other people's functions and packages, web search, MCP servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, Throttled, Unavailable
from mindbot_tasks.core.settings import Settings, WebSearchSettings
from mindbot_tasks.llm.agent.tools import catalogue, running, servers, web_search, yours
from mindbot_tasks.llm.agent.tools.base import Tool
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.plugins import tools as plugins
from mindbot_tasks.plugins.tools import Asker, ToolError, tool
from tests.llm.agent.having import agent, call, settings
from tests.llm.asking import stopping
from tests.platforms.far_side import FarSide, Say, far_side

pytestmark = pytest.mark.usefixtures("shared")


# other people's tools


@tool(effects=True, timeout_s=3)
def book_room(room: str, hours: int = 1, *, asker: Asker) -> dict[str, Any]:
    """Books a room."""
    if room == "closed":
        raise ToolError("that room is closed")
    return {"room": room, "hours": hours, "for": asker.user}


def untyped(thing) -> str:  # type: ignore[no-untyped-def]
    """Has no hints."""
    return str(thing)


def undescribed(thing: str) -> str:
    return thing


def test_a_function_becomes_a_tool_with_a_schema_and_checked_arguments() -> None:
    found = yours.find(f"{__name__}:book_room")
    assert found is not None
    assert (found.name, found.description, found.effects, found.timeout_s) == ("book_room", "Books a room.", True, 3)
    assert set(found.schema["properties"]) == {"room", "hours"}
    assert (
        running.run(found, {"room": "a", "hours": "2"}, call()).text == '{"room":"a","hours":2,"for":"dingtalk:user01"}'
    )
    wrong = running.run(found, {"room": "a", "hours": "soon"}, call())
    assert wrong.outcome == "refused"
    assert "hours" in wrong.text
    assert running.run(found, {"room": "closed"}, call()).text == "that room is closed"


@pytest.mark.parametrize("name", ["untyped", "undescribed", "nothing", "__name__"])
def test_a_function_that_cannot_be_a_tool_says_why(name: str) -> None:
    with pytest.raises(yours.Unusable):
        yours.find(f"{__name__}:{name}")


def test_packages_announce_tools_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rooms.py").write_text('def rooms(city: str) -> str:\n    """Lists rooms."""\n    return city\n')
    info = tmp_path / "rooms-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rooms\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nlist_rooms = rooms:rooms\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = yours.find("list_rooms")
    assert found is not None
    assert (found.name, found.run({"city": "Berlin"}, call())) == ("list_rooms", "Berlin")
    assert yours.find("another") is None


# web search


@pytest.fixture
def far() -> Iterator[FarSide]:
    with far_side() as server:
        yield server


_FOUND = {
    "searxng": {"results": [{"title": "T", "url": "https://a.example", "content": "C"}, {"title": "no url"}]},
    "tavily": {"results": [{"title": "T", "url": "https://a.example", "content": "C", "score": 1}]},
    "bing": {"webPages": {"value": [{"name": "T", "url": "https://a.example", "snippet": "C"}]}},
    "duckduckgo": {"RelatedTopics": [{"Name": "x", "Topics": [{"Text": "T - C", "FirstURL": "https://a.example"}]}]},
}


@pytest.mark.parametrize("engine", list(_FOUND))
def test_each_search_engine_is_asked_in_its_own_way(far: FarSide, engine: str) -> None:
    far.otherwise = Say(200, _FOUND[engine])
    having = WebSearchSettings(engine=engine, endpoint=far.url + "/find", api_key=SecretStr("s3cret"))
    assert web_search.search(having, "what is it", Deadline(30)) == [web_search.Hit("T", "https://a.example", "C")]
    [asked] = far.asked
    assert (b"what is it" in asked.body) == (engine == "tavily")
    assert ("what+is+it" in asked.path or "what%20is%20it" in asked.path) == (engine != "tavily")


@pytest.mark.parametrize(("status", "body"), [(200, "{}"), (200, "<html>"), (200, "[]"), (500, "x"), (429, "{}")])
def test_a_search_that_does_not_work_is_one_of_our_errors(far: FarSide, status: int, body: str) -> None:
    far.otherwise = Say(status, body)
    with pytest.raises((Unavailable, Throttled)):
        web_search.search(WebSearchSettings(endpoint=far.url), "q", Deadline(30))


# schemas


def test_a_schema_cannot_make_us_call_other_addresses(far: FarSide) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": far.url + "/schema"}}}
    remote = Tool("remote", "for tests", schema, run=lambda *_: "ran")
    assert running.run(remote, {"a": 1}, call()).outcome == "refused"
    assert far.asked == []


# MCP

SERVER = """
import os, sys, time
from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

server = FastMCP("probe")

@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> str:
    "Adds."
    return str(a + b)

@server.tool()
def environment() -> str:
    "Tells variables."
    return ",".join(sorted(os.environ))

@server.tool()
def sleep(seconds: float) -> str:
    "Sleeps."
    time.sleep(seconds)
    return "slept"

@server.tool()
def fail() -> str:
    "Fails."
    raise ValueError("no such thing")

@server.tool()
def die() -> str:
    "Dies."
    os._exit(1)

server.run()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture
def mcp(script: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("OUR_SECRET", "s3cret")
    server = {"command": sys.executable, "args": [str(script)], "env": {"THEIR_KEY": "k"}, "timeout": 60,
              "start_timeout": 60}  # fmt: skip
    yield settings(agent=agent(mcp={"probe": server}))
    servers.stop()


def test_the_tools_of_a_server_are_found_called_and_limited(mcp: Settings) -> None:
    found = {one.name: one for one in servers.tools(mcp, patience_s=60)}
    assert set(found) == {"probe_add", "probe_environment", "probe_sleep", "probe_fail", "probe_die"}
    assert [name for name, one in found.items() if not one.effects] == ["probe_add"]  # the others may do anything
    assert running.run(found["probe_add"], {"a": 2, "b": 3}, call(mcp)).text == "5"
    assert running.run(found["probe_add"], {"a": "x", "b": 3}, call(mcp)).outcome == "refused"
    failed = running.run(found["probe_fail"], {}, call(mcp))
    assert failed.outcome == "failed"
    known = running.run(found["probe_environment"], {}, call(mcp)).text.split(",")
    assert "THEIR_KEY" in known
    assert "OUR_SECRET" not in known
    with pytest.raises(Cancelled):
        running.run(found["probe_sleep"], {"seconds": 2}, call(mcp, deadline=stopping(Cancelled, 0.2)))
    dead = running.run(found["probe_die"], {}, call(mcp))
    assert (dead.outcome, dead.text) == ("crashed", "the tool is not available now")
    [server] = servers.servers(mcp)
    server._not_before = 0  # its pause is over
    assert running.run(found["probe_add"], {"a": 1, "b": 1}, call(mcp)).text == "2"
    assert len(servers.tools(mcp)) == 5


def test_a_server_that_does_not_start_costs_its_tools_and_nothing_else() -> None:
    having = settings(agent=agent(mcp={"none": {"command": "/nonexistent/program"}}))
    try:
        assert list(catalogue.of_settings(having, Wishes()).tools) == ["calculator", "get_time"]
        [server] = servers.servers(having)
        assert server.trouble == "FileNotFoundError"
        assert server.start().exception(timeout=5) is not None  # not before its pause is over
    finally:
        servers.stop()
