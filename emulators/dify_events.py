"""The server-sent events of one Dify answer, by kind of app, in the order in which Dify sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from emulators.answers import sse

_MARK = "\x00"


@dataclass(slots=True, frozen=True)
class Turn:
    """One question and its answer."""

    mode: str
    task_id: str
    message_id: str
    run_id: str  #: "": not a flow
    conversation_id: str
    query: str
    answer: str
    pieces: list[str]
    prompt_tokens: int
    created_at: int
    workflow_id: str = "5f6a0e6c-0000-4000-8000-000000000001"

    @property
    def ids(self) -> dict[str, Any]:
        ids: dict[str, Any] = {"task_id": self.task_id, "created_at": self.created_at}
        if self.mode != "workflow":
            ids |= {"message_id": self.message_id, "conversation_id": self.conversation_id}
        if self.run_id:
            ids["workflow_run_id"] = self.run_id
        return ids

    @property
    def metadata(self) -> dict[str, Any]:
        made = len(self.pieces)
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": made,
                 "total_tokens": self.prompt_tokens + made, "total_price": "0.0",
                 "currency": "USD", "latency": 0.1}  # fmt: skip
        return {"usage": usage, "retriever_resources": []}


def chat_events(turn: Turn, replacement: str | None) -> tuple[list[bytes], list[bytes]]:
    """The events up to the last piece of text, and the closing ones."""
    events, tail = [], []
    end = sse({"event": "message_end", **turn.ids, "id": turn.message_id, "metadata": turn.metadata})
    match turn.mode:
        case "agent-chat":
            events = [_thought(turn, 1, ""), *_texts(turn, "agent_message")]
            tail = [_thought(turn, 1, turn.answer), end]
        case "advanced-chat":
            events = [_flow_started(turn), _node(turn, "node_started", "running"), *_texts(turn, "message")]
            tail = [_node(turn, "node_finished", "succeeded"), end, _flow_finished(turn)]
        case _:
            events, tail = _texts(turn, "message"), [end]
    if turn.query.lower().startswith("draw"):
        tail.insert(0, _picture(turn))
    if replacement is not None:
        tail.insert(0, sse({"event": "message_replace", **turn.ids, "answer": replacement}))
    return events, tail


def workflow_events(turn: Turn) -> tuple[list[bytes], list[bytes]]:
    pieces = _pieces({"event": "text_chunk", **turn.ids, "data": {"text": _MARK}}, turn.pieces)
    return (
        [_flow_started(turn), _node(turn, "node_started", "running"), *pieces],
        [_node(turn, "node_finished", "succeeded"), _flow_finished(turn)],
    )


def _texts(turn: Turn, event: str) -> list[bytes]:
    return _pieces({"event": event, **turn.ids, "id": turn.message_id, "answer": _MARK}, turn.pieces)


def _pieces(pattern: dict[str, Any], pieces: list[str]) -> list[bytes]:
    """One event for each piece of text; only the text differs, so the rest is written once."""
    before, after = orjson.dumps(pattern).split(orjson.dumps(_MARK))
    before, after = b"data: " + before, after + b"\n\n"
    return [before + orjson.dumps(piece) + after for piece in pieces]


def _thought(turn: Turn, position: int, thought: str) -> bytes:
    return sse(
        {"event": "agent_thought", **turn.ids, "id": f"{turn.message_id[:-4]}{position:04d}", "position": position,
         "thought": thought, "observation": "", "tool": "", "tool_input": "", "message_files": []}
    )  # fmt: skip


def _picture(turn: Turn) -> bytes:
    """A file that a tool made; the address has no host, as Dify's have where nobody set FILES_URL."""
    return sse({"event": "message_file", "id": turn.task_id, "conversation_id": turn.conversation_id, "type": "image",
                "belongs_to": "assistant", "url": "/files/tools/drawing.png?sign=good"})  # fmt: skip


def _flow_started(turn: Turn) -> bytes:
    data = {"id": turn.run_id, "workflow_id": turn.workflow_id, "inputs": {"sys.query": turn.query},
            "created_at": turn.created_at}  # fmt: skip
    return sse({"event": "workflow_started", **turn.ids, "data": data})


def _node(turn: Turn, event: str, status: str) -> bytes:
    data = {"id": turn.run_id, "node_id": "llm", "node_type": "llm", "title": "LLM", "index": 1, "status": status,
            "outputs": None, "error": None, "elapsed_time": 0.1, "execution_metadata": None}  # fmt: skip
    return sse({"event": event, **turn.ids, "data": data})


def _flow_finished(turn: Turn) -> bytes:
    data = {"id": turn.run_id, "workflow_id": turn.workflow_id, "status": "succeeded", "error": None,
            "outputs": {"answer" if turn.mode == "advanced-chat" else "text": turn.answer},
            "total_tokens": turn.prompt_tokens + len(turn.pieces), "total_steps": 3, "elapsed_time": 0.1,
            "created_at": turn.created_at, "finished_at": turn.created_at}  # fmt: skip
    return sse({"event": "workflow_finished", **turn.ids, "data": data})
