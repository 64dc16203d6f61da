"""Dify's service API: the key selects the app; chat apps, agents and chatflows keep conversations for each user.

Shapes and codes: Dify's OpenAPI 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

import base64
import functools
import itertools
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.answers import Answer, Call, Stream, json_answer, refused, sse
from emulators.dify_events import Turn, chat_events, workflow_events
from emulators.faults import AnyRule, Replace
from emulators.front import Front
from emulators.uploads import read_form
from emulators.words import answer_to, count, tokens

MODES = ("chat", "agent-chat", "advanced-chat", "workflow")
_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
#: the apps of an emulator that was told of none
DEFAULT_APPS = {
    "app-chat": "chat",
    "app-agent": "agent-chat",
    "app-chatflow": "advanced-chat",
    "app-workflow": "workflow",
}


def parse_apps(options: Iterable[str]) -> dict[str, str]:
    """The apps of `KEY=MODE` options. Raises ValueError for an unknown mode."""
    apps: dict[str, str] = {}
    for option in options:
        key, _, mode = option.partition("=")
        if not key or (mode or "chat") not in MODES:
            raise ValueError(f"expected KEY=MODE with MODE one of {', '.join(MODES)}, found {option!r}")
        apps[key] = mode or "chat"
    return apps


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    apps: Mapping[str, str] | None = None,
    words: int = 0,
    ping_every_s: float = 10,
    uploads: Sequence[str] = (),
) -> web.Application:
    """`apps`: key -> mode. Without any, those of DEFAULT_APPS exist, and every other key `app-...` is a chat app.

    `uploads`: the types of files that all apps want. Asked to "draw", an app sends a picture along.
    """
    dify = Dify(apps or {}, words, ping_every_s, tuple(uploads))
    front = dify.front = Front(
        "dify",
        unknown=_unknown,
        reset=dify.reset,
        log=log,
        delay_ms=delay_ms,
        tokens_per_second=tokens_per_second,
        faults=faults,
    )
    front.add("POST", "/v1/chat-messages", dify.chat)
    front.add("POST", "/v1/chat-messages/{task_id}/stop", dify.stop_chat)
    front.add("POST", "/v1/workflows/run", dify.run_workflow)
    front.add("POST", "/v1/workflows/tasks/{task_id}/stop", dify.stop_workflow)
    front.add("POST", "/v1/files/upload", dify.upload)
    front.add("GET", "/files/tools/{name}", dify.made_file)
    front.add("GET", "/v1/info", dify.info)
    front.add("GET", "/v1/parameters", dify.parameters)
    front.control("GET", "/conversations", lambda _: dify.describe())
    front.control("POST", "/conversations/forget", lambda _: dify.forget())
    return front.finish()


@dataclass(slots=True)
class Conversation:
    turns: int = 0
    answering: int = 0  #: more than one at once spoils a real conversation; the log says when it happened


@dataclass(slots=True)
class Running:
    user: str
    stopped: bool = False


@dataclass(slots=True)
class Dify:
    """The state of all apps; everything dies with the process but the log."""

    apps: Mapping[str, str]
    words: int
    ping_every_s: float
    uploads: tuple[str, ...] = ()
    front: Front = field(init=False)
    conversations: dict[tuple[str, str, str], Conversation] = field(default_factory=dict)  #: by (key, user, id)
    running: dict[str, Running] = field(default_factory=dict)
    uploaded: dict[str, str] = field(default_factory=dict)  #: id -> user
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def reset(self) -> None:
        self.conversations.clear()
        self.running.clear()
        self.uploaded.clear()

    def forget(self) -> dict[str, int]:
        """Make every conversation unknown, as if the app's owner had deleted them."""
        gone = len(self.conversations)
        self.conversations.clear()
        return {"forgotten": gone}

    def describe(self) -> list[dict[str, object]]:
        return [
            {"id": cid, "user": user, "mode": self._mode(key), "turns": kept.turns}
            for (key, user, cid), kept in self.conversations.items()
        ]

    def chat(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return _unauthorized()
        if mode == "workflow":
            return error(400, "not_chat_app", "Please check if your app mode matches the right API route.")
        body = call.json or {}
        if problem := _wrong(body, "query"):
            return problem
        streaming = body.get("response_mode") == "streaming"
        if mode == "agent-chat" and not streaming:
            return error(400, "invalid_param", "Agent Chat App does not support blocking mode")
        query, user, conversation_id = body["query"], body["user"], body.get("conversation_id") or ""
        if conversation_id and not _is_uuid(conversation_id):
            return error(400, "invalid_param", f"{conversation_id} is not a valid uuid.")
        files = body.get("files") or []
        if problem := self._wrong_files(files, user):
            return problem
        new = not conversation_id
        if new:
            conversation_id = str(uuid.uuid4())
            kept = self.conversations[call.bearer, user, conversation_id] = Conversation()
        elif (found := self.conversations.get((call.bearer, user, conversation_id))) is not None:
            kept = found
        else:
            missing = error(404, "not_found", "Conversation Not Exists.")
            missing.facts = {"conversation_id": conversation_id, "user": user, "text": query}
            return missing
        kept.turns += 1
        kept.answering += 1
        answer = answer_to(query, call.fault, words=self.words)
        turn = self._turn(mode, conversation_id, query, answer)
        facts = {
            "mode": mode,
            "stream": streaming,
            "user": user,
            "conversation_id": conversation_id,
            "new_conversation": new,
            "turn": kept.turns,
            "overlapping": kept.answering > 1,
            "task_id": turn.task_id,
            "message_id": turn.message_id,
            "text": query,
            "files": [each["type"] for each in files],
        }
        reply = self._stream(call, turn, facts, user) if streaming else self._blocking(turn, facts)

        def over() -> None:
            kept.answering -= 1
            self._forget_run(turn.task_id)

        reply.on_end = over
        return reply

    def run_workflow(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return _unauthorized()
        if mode != "workflow":
            return error(400, "not_workflow_app", "Please check if your app mode matches the right API route.")
        body = call.json or {}
        if problem := _wrong(body, None):
            return problem
        inputs, user = body["inputs"], body["user"]
        text = str(inputs.get("query") or next(iter(inputs.values()), ""))
        turn = self._turn(mode, "", text, answer_to(text, call.fault, words=self.words))
        streaming = body.get("response_mode") == "streaming"
        facts = {"mode": mode, "stream": streaming, "user": user, "task_id": turn.task_id,
                 "workflow_run_id": turn.run_id, "text": text}  # fmt: skip
        if streaming:
            reply = self._stream(call, turn, facts, user)
            reply.on_end = functools.partial(self._forget_run, turn.task_id)
            return reply
        data = {"id": turn.run_id, "workflow_id": turn.workflow_id, "status": "succeeded", "error": None,
                "outputs": {"text": turn.answer}, "elapsed_time": 0.1, "total_tokens": len(turn.pieces),
                "total_steps": 3, "created_at": turn.created_at, "finished_at": turn.created_at}  # fmt: skip
        whole = {"task_id": turn.task_id, "workflow_run_id": turn.run_id, "data": data}
        return json_answer(whole, facts=facts, delay_s=self._whole_delay_s(turn))

    def _forget_run(self, task_id: str) -> None:
        self.running.pop(task_id, None)

    def stop_chat(self, call: Call) -> Answer:
        return self._stop(call, only_owner=True)

    def stop_workflow(self, call: Call) -> Answer:
        return self._stop(call, only_owner=False)

    def info(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return _unauthorized()
        return json_answer({"name": f"emulated {mode}", "description": "", "tags": [], "mode": mode,
                            "author_name": "emulator"})  # fmt: skip

    def parameters(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return _unauthorized()
        limits = {"file_size_limit": 15, "image_file_size_limit": 10, "audio_file_size_limit": 50,
                  "video_file_size_limit": 100, "workflow_file_upload_limit": 10}  # fmt: skip
        return json_answer({
            "opening_statement": "", "suggested_questions": [], "user_input_form": [],
            "file_upload": {"enabled": bool(self.uploads), "allowed_file_types": list(self.uploads)},
            "system_parameters": limits,
        })  # fmt: skip

    def upload(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return _unauthorized()
        fields, name, content = read_form(call, "file")
        if not name or not content:
            return error(400, "no_file_uploaded", "Please upload your file.")
        if len(content) > 15_000_000:
            return error(413, "file_too_large", "File size exceeded.")
        if name.endswith(".xyz"):
            return error(415, "unsupported_file_type", "File type not allowed.")
        found = str(uuid.uuid4())
        user = fields.get("user", "")
        self.uploaded[found] = user
        whole = {"id": found, "name": name, "size": len(content), "extension": name.rpartition(".")[2],
                 "mime_type": "", "created_by": user, "created_at": int(time.time())}  # fmt: skip
        return json_answer(whole, 201, facts={"user": user, "name": name, "bytes": len(content)})

    def made_file(self, call: Call) -> Answer:
        """A picture of one dot, for whoever has the signed address."""
        if call.query.get("sign") != "good":
            return error(403, "forbidden", "Invalid signature.")
        return Answer(body=_DOT, content_type="image/png")

    def _wrong_files(self, files: Any, user: str) -> Answer | None:
        if not isinstance(files, list):
            return error(400, "invalid_param", "files must be a list")
        for each in files:
            if each.get("type") not in self.uploads:
                return error(400, "invalid_param", "File type not allowed.")
            if each.get("transfer_method") == "local_file" and self.uploaded.get(each.get("upload_file_id")) != user:
                return error(400, "invalid_param", "Invalid upload file id format")
        return None

    def _stop(self, call: Call, *, only_owner: bool) -> Answer:
        if self._mode(call.bearer) is None:
            return _unauthorized()
        user, task_id = (call.json or {}).get("user"), call.params["task_id"]
        if not isinstance(user, str) or not user:
            return error(400, "invalid_param", "user is required")
        running = self.running.get(task_id)
        stops = running is not None and (not only_owner or running.user == user)
        if running is not None and stops:
            running.stopped = True
        # Dify says success whoever asks, and for a task that nobody knows.
        return json_answer({"result": "success"}, facts={"task_id": task_id, "user": user, "stopped": stops})

    def _turn(self, mode: str, conversation_id: str, query: str, answer: str) -> Turn:
        return Turn(
            mode=mode,
            task_id=str(uuid.uuid4()),
            message_id=str(uuid.uuid4()),
            run_id=str(uuid.uuid4()) if mode in ("advanced-chat", "workflow") else "",
            conversation_id=conversation_id,
            query=query,
            answer=answer,
            pieces=tokens(answer),
            prompt_tokens=count(query),
            created_at=int(time.time()),
        )

    def _stream(self, call: Call, turn: Turn, facts: dict[str, Any], user: str) -> Stream:
        replacement = call.fault.text if isinstance(call.fault, Replace) else None
        events, tail = workflow_events(turn) if turn.mode == "workflow" else chat_events(turn, replacement)
        running = self.running[turn.task_id] = Running(user)
        pace = self.front.pace
        return Stream(
            events=events,
            tail=tail,
            per_s=pace.tokens_per_second,
            delay_s=pace.delay_ms / 1000,
            ping=b"event: ping\n\n",
            ping_every_s=self.ping_every_s,
            stopped=lambda: running.stopped,
            facts=facts,
            error=lambda status, code, message: sse(
                {"event": "error", **turn.ids, "status": status, "code": code, "message": message}
            ),
        )

    def _blocking(self, turn: Turn, facts: dict[str, Any]) -> Answer:
        whole = {"event": "message", "task_id": turn.task_id, "id": turn.message_id, "message_id": turn.message_id,
                 "conversation_id": turn.conversation_id, "mode": turn.mode, "answer": turn.answer,
                 "metadata": turn.metadata, "created_at": turn.created_at}  # fmt: skip
        return json_answer(whole, facts=facts, delay_s=self._whole_delay_s(turn))

    def _whole_delay_s(self, turn: Turn) -> float:
        pace = self.front.pace
        took_s = len(turn.pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
        return pace.delay_ms / 1000 + took_s

    def _mode(self, key: str) -> str | None:
        if self.apps:
            return self.apps.get(key)
        return DEFAULT_APPS.get(key, "chat") if key.startswith("app-") else None


def error(status: int, code: str, message: str) -> Answer:
    """Dify's envelope; the call had no effect."""
    return refused({"code": code, "message": message, "status": status}, status)


def _unauthorized() -> Answer:
    return error(401, "unauthorized", "Access token is invalid")


def _unknown(call: Call) -> Answer:
    return error(404, "not_found", f"The requested URL was not found on the server: {call.method} {call.path}")


def _wrong(body: dict[str, Any], text_field: str | None) -> Answer | None:
    """The refusal of a body that lacks what every run needs."""
    if text_field and (not isinstance(body.get(text_field), str) or not body[text_field]):
        return error(400, "invalid_param", f"{text_field} is required")
    if not isinstance(body.get("inputs"), dict):
        return error(400, "invalid_param", "inputs is required in input form")
    if not isinstance(body.get("user"), str) or not body["user"]:
        return error(400, "invalid_param", "Arg user must be provided.")
    if body.get("response_mode", "blocking") not in ("blocking", "streaming"):
        return error(400, "invalid_param", "response_mode must be one of: blocking, streaming")
    return None


def _is_uuid(value: object) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True
