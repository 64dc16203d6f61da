"""The kinds of answerers that can stand behind a stack: the emulator of each, and how MindBot is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Configuration = Mapping[str, Any]
#: of a model's emulator and the secret to the part of mindbot.yaml that is about it
Configure = Callable[[str, str], Configuration]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of answerer."""

    emulator: str  #: its name for `mindbot emulate`
    configure: Configure
    path: str  #: what the paths of the calls that ask for an answer begin with
    roles: tuple[str, ...] = ()  #: beside the usual ones


def _provider(name: str, suffix: str = "", **more: Any) -> Configure:
    def configure(url: str, secret: str) -> Configuration:
        models = [] if name == "coze" else [{"name": "mock-model"}]
        return {"providers": {name: {"api_key": secret, "base_url": f"{url}{suffix}", "models": models, **more}}}

    return configure


def _dify(url: str, secret: str) -> Configuration:
    return {
        "workflows": {"general_chat": {"dify_endpoint": f"{url}/v1/chat-messages", "dify_api_key": f"app-{secret}"}}
    }


def _agent(url: str, secret: str) -> Configuration:
    chain = {"enabled": True, "primary_provider": "openai", "model": "mock-model", "tools": ["calculator"]}
    return {**_provider("openai", "/v1")(url, secret), "agent": {"langchain": chain}}


KINDS: Mapping[str, Kind] = {
    "openai": Kind("openai", _provider("openai", "/v1"), "/v1/chat/completions"),
    "dify": Kind("dify", _dify, "/v1/chat-messages"),
    "anthropic": Kind("anthropic", _provider("anthropic"), "/v1/messages"),
    "gemini": Kind("gemini", _provider("google"), "/v1beta/models"),
    "coze": Kind("coze", _provider("coze", bot_id="bot0001"), "/v3/chat"),
    "ollama": Kind("ollama", _provider("ollama"), "/api/chat"),
    "agent": Kind("openai", _agent, "/v1/chat/completions", roles=("worker_agent",)),
}
