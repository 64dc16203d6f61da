"""The tool `web_search`: one engine of the configuration, asked by its JSON interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.http import get_http, refuse
from mindbot_tasks.core.settings.agent import WebSearchSettings
from mindbot_tasks.llm.agent.tools.base import Call, Tool, arguments

_MAX_BYTES = 2_000_000
_SNIPPET_CHARS = 500
#: what reading a body of an unexpected shape raises
_UNREADABLE = (AttributeError, TypeError, ValueError, KeyError)


@dataclass(frozen=True, slots=True)
class Hit:
    """One result."""

    title: str
    url: str
    snippet: str


@dataclass(frozen=True, slots=True)
class _Engine:
    endpoint: str
    ask: Callable[[WebSearchSettings, str, str], dict[str, Any]]  #: (settings, endpoint, query) -> the request
    read: Callable[[Any], Iterable[Hit]]


def _key(settings: WebSearchSettings) -> str:
    return settings.api_key.get_secret_value() if settings.api_key is not None else ""


def _ask_searxng(settings: WebSearchSettings, endpoint: str, query: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {_key(settings)}"} if settings.api_key is not None else {}
    url = endpoint if endpoint.endswith("/search") else f"{endpoint}/search"
    return {"method": "GET", "url": url, "params": {"q": query, "format": "json"}, "headers": headers}


def _ask_bing(settings: WebSearchSettings, endpoint: str, query: str) -> dict[str, Any]:
    headers = {"Ocp-Apim-Subscription-Key": _key(settings)}
    params = {"q": query, "count": str(settings.results), "textFormat": "Raw"}
    return {"method": "GET", "url": endpoint, "params": params, "headers": headers}


def _ask_tavily(settings: WebSearchSettings, endpoint: str, query: str) -> dict[str, Any]:
    body = {"query": query, "max_results": min(settings.results, 20)}
    headers = {"Authorization": f"Bearer {_key(settings)}"}
    return {"method": "POST", "url": endpoint, "json": body, "headers": headers}


def _ask_duckduckgo(settings: WebSearchSettings, endpoint: str, query: str) -> dict[str, Any]:
    params = {"q": query, "format": "json", "no_html": "1", "skip_disambig": "1"}
    return {"method": "GET", "url": endpoint, "params": params, "headers": {}}


def _read_results(body: Any) -> Iterable[Hit]:
    for one in body["results"]:
        yield Hit(str(one.get("title") or ""), str(one.get("url") or ""), str(one.get("content") or ""))


def _read_bing(body: Any) -> Iterable[Hit]:
    for one in (body.get("webPages") or {}).get("value") or []:
        yield Hit(str(one.get("name") or ""), str(one.get("url") or ""), str(one.get("snippet") or ""))


def _read_duckduckgo(body: Any) -> Iterable[Hit]:
    if body.get("AbstractText"):
        yield Hit(str(body.get("Heading") or ""), str(body.get("AbstractURL") or ""), str(body["AbstractText"]))
    topics = [*(body.get("Results") or []), *(body.get("RelatedTopics") or [])]
    for topic in topics:
        for one in topic.get("Topics") or [topic]:  # some stand in groups
            if one.get("FirstURL"):
                title, _, rest = str(one.get("Text") or "").partition(" - ")
                yield Hit(title, str(one["FirstURL"]), rest or title)


_ENGINES: Mapping[str, _Engine] = {
    "searxng": _Engine("", _ask_searxng, _read_results),
    "bing": _Engine("https://api.bing.microsoft.com/v7.0/search", _ask_bing, _read_bing),
    "tavily": _Engine("https://api.tavily.com/search", _ask_tavily, _read_results),
    "duckduckgo": _Engine("https://api.duckduckgo.com/", _ask_duckduckgo, _read_duckduckgo),
}


def search(settings: WebSearchSettings, query: str, deadline: Deadline) -> list[Hit]:
    """What the engine finds, its best first. Raises Rejected, Throttled, Unavailable or a Stopped."""
    engine = _ENGINES[settings.engine]
    asked = engine.ask(settings, settings.endpoint or engine.endpoint, query)
    provider = f"search:{settings.engine}"
    # the address is the operator's, so it may be a server in the house
    answer = get_http().request(deadline=deadline, provider=provider, max_bytes=_MAX_BYTES, **asked)
    if answer.status != 200:
        refuse(answer)
    body = answer.json_or_none()
    try:
        return [hit for hit in engine.read(body) if hit.url][: settings.results]
    except _UNREADABLE as exc:
        raise Unavailable("the results cannot be read", kind="protocol", provider=provider) from exc


def tool(settings: WebSearchSettings) -> Tool:
    """The tool that asks this engine."""

    def run(given: Mapping[str, Any], call: Call) -> str:
        hits = search(settings, str(given["query"]), call.deadline)
        told = [f"{n}. {_line(hit.title)}\n{hit.url}\n{_line(hit.snippet)}" for n, hit in enumerate(hits, 1)]
        return "\n\n".join(told) or "nothing was found"

    return Tool(
        name="web_search",
        description="Searches the web and returns titles, addresses and excerpts. Use it for news and facts.",
        schema=arguments(
            {"query": {"type": "string", "description": "a few search words", "minLength": 1, "maxLength": 400}},
            required=("query",),
        ),
        run=run,
        outside=True,
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:_SNIPPET_CHARS]
