"""The server-sent events of one Dify answer, by kind of app, in the order in which Dify sends them.

The first word of a question asks for something special: "draw" for a picture, "cite" for sources, and in flows
"approve" for a person's decision ("approve by mail": one whom only an e-mail reaches), "fail" and "partly".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson

from emulators.answers import sse

_MARK = "\x00"
ACTIONS = (("approve", "Approve"), ("reject", "Send back"))
_PICTURE = "/files/tools/drawing.png?sign=good"


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
    asks: bool = False  #: it waits for a person
    form_token: str = ""

    @property
    def wish(self) -> str:
        """The first word of the question."""
        return self.query.split(maxsplit=1)[0].lower() if self.query.split() else ""

    @property
    def ids(self) -> dict[str, Any]:
        ids: dict[str, Any] = {"task_id": self.task_id, "created_at": self.created_at}
        if self.mode != "workflow":
            ids["message_id"] = self.message_id
        if self.conversation_id:
            ids["conversation_id"] = self.conversation_id
        if self.run_id:
            ids["workflow_run_id"] = self.run_id
        return ids

    @property
    def metadata(self) -> dict[str, Any]:
        made = len(self.pieces)
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": made,
                 "total_tokens": self.prompt_tokens + made, "total_price": "0.0",
                 "currency": "USD", "latency": 0.1}  # fmt: skip
        cited = {"position": 1, "dataset_id": "d1", "dataset_name": "Manuals", "document_id": "1",
                 "document_name": "Handbook.pdf", "segment_id": "s1", "score": 0.91,
                 "content": "The handbook says so."}  # fmt: skip
        return {"usage": usage, "retriever_resources": [cited] if self.wish == "cite" else []}

    @property
    def status(self) -> str:
        """How a flow ends."""
        return {"fail": "failed", "partly": "partial-succeeded"}.get(self.wish if self.run_id else "", "succeeded")

    @property
    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = {"answer" if self.mode == "advanced-chat" else "text": self.answer}
        if self.mode == "workflow" and self.wish == "draw":
            outputs["pictures"] = [{"dify_model_identity": "__dify__file__", "type": "image", "url": _PICTURE,
                                    "transfer_method": "tool_file", "mime_type": "image/png",
                                    "filename": "drawing.png"}]  # fmt: skip
        return outputs


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
            tail = [_node(turn, "node_finished", "succeeded"), end, flow_finished(turn)]
            if turn.asks:
                events, tail = events[:2], pause(turn)
            elif turn.status == "failed":
                events, tail = events[:3], [flow_finished(turn), _failed(turn)]
        case _:
            events, tail = _texts(turn, "message"), [end]
    if turn.wish == "draw":
        tail.insert(0, _picture(turn))
    if replacement is not None:
        tail.insert(0, sse({"event": "message_replace", **turn.ids, "answer": replacement}))
    return events, tail


def workflow_events(turn: Turn) -> tuple[list[bytes], list[bytes]]:
    begin = [_flow_started(turn), _node(turn, "node_started", "running")]
    if turn.asks:
        return begin, pause(turn)
    if turn.status == "failed":
        return begin, [flow_finished(turn)]
    pieces = _pieces({"event": "text_chunk", **turn.ids, "data": {"text": _MARK}}, turn.pieces)
    return [*begin, *pieces], [_node(turn, "node_finished", "succeeded"), flow_finished(turn)]


def rest(turn: Turn, made: int) -> tuple[list[bytes], list[bytes]]:
    """What somebody hears who comes back when so many pieces are made."""
    events, tail = workflow_events(turn) if turn.mode == "workflow" else chat_events(turn, None)
    return ([], tail) if turn.asks or turn.status == "failed" else (events[2 + made :], tail)


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
                "belongs_to": "assistant", "url": _PICTURE})  # fmt: skip


def _flow_started(turn: Turn) -> bytes:
    data = {"id": turn.run_id, "workflow_id": turn.workflow_id, "inputs": {"sys.query": turn.query},
            "created_at": turn.created_at}  # fmt: skip
    return sse({"event": "workflow_started", **turn.ids, "data": data})


def _node(turn: Turn, event: str, status: str) -> bytes:
    data = {"id": turn.run_id, "node_id": "llm", "node_type": "llm", "title": "LLM", "index": 1, "status": status,
            "outputs": None, "error": None, "elapsed_time": 0.1, "execution_metadata": None}  # fmt: skip
    return sse({"event": event, **turn.ids, "data": data})


def flow_finished(turn: Turn, status: str = "") -> bytes:
    status = status or turn.status
    data = {"id": turn.run_id, "workflow_id": turn.workflow_id, "status": status,
            "error": "a node failed" if status == "failed" else None,
            "outputs": turn.outputs if status in ("succeeded", "partial-succeeded") else {},
            "total_tokens": turn.prompt_tokens + len(turn.pieces), "total_steps": 3, "elapsed_time": 0.1,
            "created_at": turn.created_at, "finished_at": turn.created_at}  # fmt: skip
    return sse({"event": "workflow_finished", **turn.ids, "data": data})


def _failed(turn: Turn) -> bytes:
    return sse({"event": "error", **turn.ids, "status": 400, "code": "completion_request_error",
                "message": "a node failed"})  # fmt: skip


def form(turn: Turn) -> dict[str, Any]:
    """What a person is asked."""
    return {
        "form_content": f"Shall this be done: {turn.query}? {{{{#$output.comment#}}}}",
        "inputs": [{"type": "text_input", "output_variable_name": "comment",
                    "default": {"type": "constant", "selector": [], "value": ""}}],
        "resolved_default_values": {"comment": ""},
        "expiration_time": int(time.time()) + 3600,
    }  # fmt: skip


def pause(turn: Turn) -> list[bytes]:
    actions = [{"id": action, "title": title, "button_style": "default"} for action, title in ACTIONS]
    asked = {"form_id": turn.run_id, "node_id": "human", "node_title": "Approval", "actions": actions,
             "form_token": turn.form_token or None, "display_in_ui": bool(turn.form_token), **form(turn)}  # fmt: skip
    paused = {"workflow_run_id": turn.run_id, "paused_nodes": ["human"], "outputs": {}, "status": "paused",
              "reasons": [{"TYPE": "human_input_required", **asked}], "total_tokens": 0, "total_steps": 2,
              "elapsed_time": 0.1, "created_at": turn.created_at}  # fmt: skip
    return [
        sse({"event": "human_input_required", **turn.ids, "data": asked}),
        sse({"event": "workflow_paused", **turn.ids, "data": paused}),
    ]
