"""Calls of the emulators as a client makes them, and how to read what they stream."""

from __future__ import annotations

import json
from typing import Any

import requests

from emulators.running import Emulator


def chat(http: requests.Session, openai: Emulator, text: str = "hello", **options: Any) -> requests.Response:
    """One chat completion; `options` go into the body, but for those of requests."""
    passed = {name: options.pop(name) for name in ("headers", "timeout") if name in options}
    passed.setdefault("timeout", 60)
    read_later = options.pop("read_later", False)
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    return http.post(f"{openai.url}/v1/chat/completions", json=body, stream=read_later, **passed)


def ask(http: requests.Session, dify: Emulator, query: str = "hello", *, key: str = "app-chat", **options: Any) -> Any:
    """One Dify chat message, streaming unless told otherwise."""
    passed = {name: options.pop(name) for name in ("timeout",) if name in options}
    passed.setdefault("timeout", 60)
    read_later = options.pop("read_later", False)
    body = {"query": query, "inputs": {}, "user": "user01", "response_mode": "streaming", **options}
    return http.post(
        f"{dify.url}/v1/chat-messages",
        json={name: value for name, value in body.items() if value is not None},
        headers={"Authorization": f"Bearer {key}"},
        stream=read_later,
        **passed,
    )


def events(body: bytes) -> list[dict[str, Any]]:
    """The JSON events of a finished stream."""
    lines = body.decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line != "data: [DONE]"]


def text_of(body: bytes) -> str:
    """The text of a finished stream of chat completions."""
    return "".join(choice["delta"].get("content", "") for e in events(body) for choice in e["choices"])


def answer_of(body: bytes) -> str:
    """The text of a finished stream of Dify, with message_replace taken at its word."""
    answer = ""
    for event in events(body):
        if event["event"] in ("message", "agent_message"):
            answer += event["answer"]
        elif event["event"] == "message_replace":
            answer = event["answer"]
    return answer
