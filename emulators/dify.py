"""Dify's service API: the key selects the app; chat apps, agents and chatflows keep conversations for each user.

Shapes and codes: Dify's OpenAPI 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

from aiohttp import web

from emulators.answers import Answer, Call, Stream, json_answer
from emulators.dify_events import Turn, chat_events, workflow_events
from emulators.dify_flows import Flows
from emulators.dify_runs import Runs, described, message, new_token
from emulators.dify_shapes import (
    DEFAULT_APPS,
    App,
    error,
    is_uuid,
    parameters,
    parse_apps,
    unauthorized,
    wrong,
    wrong_app,
)
from emulators.faults import Replace
from emulators.front import Front, Usual
from emulators.uploads import read_form
from emulators.words import answer_to, count, tokens

__all__ = ["create_app", "parse_apps"]

_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def create_app(
    *,
    apps: Mapping[str, App] | None = None,
    words: int = 0,
    ping_every_s: float = 10,
    uploads: Sequence[str] = (),
    **usual: Unpack[Usual],
) -> web.Application:
    """`apps`: by key. Without any, those of DEFAULT_APPS exist, and every other key `app-...` is a chat app.

    `uploads`: the types of files that all apps want. Asked to "draw", an app sends a picture along.
    """
    dify = Dify(apps or {}, words, ping_every_s, tuple(uploads))
    front = dify.front = Front(
        "dify",
        unknown=_unknown,
        reset=dify.reset,
        **usual,
    )
    front.add("POST", "/v1/chat-messages", dify.chat)
    front.add("POST", "/v1/chat-messages/{task_id}/stop", dify.flows.stop_chat)
    front.add("POST", "/v1/completion-messages", dify.complete)
    front.add("POST", "/v1/completion-messages/{task_id}/stop", dify.flows.stop_chat)
    front.add("POST", "/v1/workflows/run", dify.run_workflow)
    front.add("POST", "/v1/workflows/{workflow_id}/run", dify.run_workflow)
    front.add("POST", "/v1/workflows/tasks/{task_id}/stop", dify.flows.stop_workflow)
    front.add("GET", "/v1/workflows/run/{run_id}", dify.flows.run_detail)
    front.add("GET", "/v1/workflow/{run_id}/events", dify.flows.run_events)
    front.add("GET", "/v1/form/human_input/{token}", dify.flows.form)
    front.add("POST", "/v1/form/human_input/{token}", dify.flows.submit_form)
    front.add("GET", "/v1/messages", dify.messages)
    front.add("POST", "/v1/messages/{message_id}/feedbacks", dify.feedback)
    front.add("GET", "/v1/conversations", dify.list_conversations)
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
    created_at: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class Dify:
    """The state of all apps; everything dies with the process but the log."""

    apps: Mapping[str, App]
    words: int
    ping_every_s: float
    uploads: tuple[str, ...] = ()
    front: Front = field(init=False)
    conversations: dict[tuple[str, str, str], Conversation] = field(default_factory=dict)  #: by (key, user, id)
    runs: Runs = field(default_factory=Runs)
    uploaded: dict[str, str] = field(default_factory=dict)  #: id -> user
    flows: Flows = field(init=False)

    def __post_init__(self) -> None:
        self.flows = Flows(self.runs, self._mode, self.ping_every_s)

    def reset(self) -> None:
        self.conversations.clear()
        self.runs.clear()
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
            return unauthorized()
        if mode in ("workflow", "completion"):
            return wrong_app("not_chat_app")
        body = call.json or {}
        if problem := wrong(body, "query"):
            return problem
        streaming = body.get("response_mode") == "streaming"
        query, user, conversation_id = body["query"], body["user"], body.get("conversation_id") or ""
        if not streaming and (
            mode == "agent-chat" or (mode == "advanced-chat" and query.lower().startswith("approve"))
        ):
            return error(400, "invalid_param", "This app does not support blocking mode")
        if conversation_id and not is_uuid(conversation_id):
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
        turn = self._turn(mode, conversation_id, query, answer_to(query, call.fault, words=self.words))
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
            "inputs": body["inputs"],
            "files": [each["type"] for each in files],
        }
        reply = self._stream(call, turn, facts, user) if streaming else self._blocking(turn, facts)

        def over() -> None:
            kept.answering -= 1

        reply.on_end = over
        return reply

    def complete(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return unauthorized()
        if mode != "completion":
            return wrong_app("not_completion_app")
        body = call.json or {}
        text = self._text(call)
        if problem := wrong(body, None) or self._wrong_files(body.get("files") or [], body["user"]):
            return problem
        if not text:
            return error(400, "invalid_param", f"{self._app(call.bearer).variable} is required in input form")
        turn = self._turn(mode, "", text, answer_to(text, call.fault, words=self.words))
        streaming = body.get("response_mode") == "streaming"
        facts = {"mode": mode, "stream": streaming, "user": body["user"], "task_id": turn.task_id, "text": text,
                 "inputs": body["inputs"], "message_id": turn.message_id}  # fmt: skip
        return self._stream(call, turn, facts, body["user"]) if streaming else self._blocking(turn, facts)

    def run_workflow(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return unauthorized()
        if mode != "workflow":
            return wrong_app("not_workflow_app")
        body = call.json or {}
        if problem := wrong(body, None):
            return problem
        version = call.params.get("workflow_id", "")
        if version and not is_uuid(version):
            return error(400, "invalid_param", "Invalid workflow_id format")
        inputs, user = body["inputs"], body["user"]
        text = self._text(call)
        if not text:
            return error(400, "invalid_param", f"{self._app(call.bearer).variable} is required in input form")
        files = [file for value in (inputs.get("documents"), body.get("files")) if value for file in value]
        if problem := self._wrong_files(files, user):
            return problem
        turn = self._turn(mode, "", text, answer_to(text, call.fault, words=self.words))
        streaming = body.get("response_mode") == "streaming"
        facts = {"mode": mode, "stream": streaming, "user": user, "task_id": turn.task_id, "inputs": inputs,
                 "workflow_run_id": turn.run_id, "text": text, "version": version,
                 "files": [each["type"] for each in files]}  # fmt: skip
        if streaming:
            return self._stream(call, turn, facts, user)
        run = self.runs.begin(call.bearer, user, turn, 0, 0)
        data = {**described(run), "inputs": None}
        whole = {"task_id": turn.task_id, "workflow_run_id": turn.run_id, "data": data}
        return json_answer(whole, facts=facts, delay_s=self._whole_delay_s(turn))

    def messages(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return unauthorized()
        user, conversation_id = call.query.get("user", ""), call.query.get("conversation_id", "")
        if (call.bearer, user, conversation_id) not in self.conversations:
            return error(404, "not_found", "Conversation Not Exists.")
        listed = [message(run) for run in self.runs.conversation(call.bearer, user, conversation_id)]
        limit = int(call.query.get("limit", 20))
        return json_answer({"limit": limit, "has_more": len(listed) > limit, "data": listed[:limit]})

    def feedback(self, call: Call) -> Answer:
        run = self.runs.by_message.get(call.params["message_id"])
        body = call.json or {}
        if run is None or run.user != body.get("user"):
            return error(404, "not_found", "Message Not Exists.")
        if body.get("rating") not in ("like", "dislike", None):
            return error(400, "invalid_param", "rating must be one of: like, dislike")
        return json_answer({"result": "success"}, facts={"rating": body.get("rating")})

    def list_conversations(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return unauthorized()
        user = call.query.get("user", "")
        listed = [
            {"id": cid, "name": "New conversation", "inputs": {}, "status": "normal", "introduction": "",
             "created_at": kept.created_at, "updated_at": kept.created_at}
            for (key, owner, cid), kept in reversed(self.conversations.items())
            if (key, owner) == (call.bearer, user)
        ]  # fmt: skip
        limit = int(call.query.get("limit", 20))
        return json_answer({"limit": limit, "has_more": len(listed) > limit, "data": listed[:limit]})

    def info(self, call: Call) -> Answer:
        mode = self._mode(call.bearer)
        if mode is None:
            return unauthorized()
        return json_answer({"name": f"emulated {mode}", "description": "", "tags": [], "mode": mode,
                            "author_name": "emulator"})  # fmt: skip

    def parameters(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return unauthorized()
        return json_answer(parameters(self._app(call.bearer), self.uploads))

    def upload(self, call: Call) -> Answer:
        if self._mode(call.bearer) is None:
            return unauthorized()
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

    def _turn(self, mode: str, conversation_id: str, query: str, answer: str) -> Turn:
        is_flow = mode in ("advanced-chat", "workflow")
        asks = is_flow and query.lower().startswith("approve")
        return Turn(
            mode=mode,
            task_id=str(uuid.uuid4()),
            message_id=str(uuid.uuid4()),
            run_id=str(uuid.uuid4()) if is_flow else "",
            conversation_id=conversation_id,
            query=query,
            answer=answer,
            pieces=tokens(answer),
            prompt_tokens=count(query),
            created_at=int(time.time()),
            asks=asks,
            form_token=new_token() if asks and not query.lower().startswith("approve by mail") else "",
        )

    def _stream(self, call: Call, turn: Turn, facts: dict[str, Any], user: str) -> Stream:
        replacement = call.fault.text if isinstance(call.fault, Replace) else None
        events, tail = workflow_events(turn) if turn.mode == "workflow" else chat_events(turn, replacement)
        pace = self.front.pace
        run = self.runs.begin(call.bearer, user, turn, pace.tokens_per_second, pace.delay_ms / 1000)
        return self.flows.streamed(run, events, tail, facts, pace.delay_ms / 1000)

    def _blocking(self, turn: Turn, facts: dict[str, Any]) -> Answer:
        whole = {"event": "message", "task_id": turn.task_id, "id": turn.message_id, "message_id": turn.message_id,
                 "conversation_id": turn.conversation_id, "mode": turn.mode, "answer": turn.answer,
                 "metadata": turn.metadata, "created_at": turn.created_at}  # fmt: skip
        return json_answer(whole, facts=facts, delay_s=self._whole_delay_s(turn))

    def _whole_delay_s(self, turn: Turn) -> float:
        pace = self.front.pace
        took_s = len(turn.pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
        return pace.delay_ms / 1000 + took_s

    def _text(self, call: Call) -> str:
        """What the app is asked, in its variable."""
        inputs = (call.json or {}).get("inputs")
        text = inputs.get(self._app(call.bearer).variable) if isinstance(inputs, dict) else None
        return text if isinstance(text, str) else ""

    def _app(self, key: str) -> App:
        return self.apps.get(key) or DEFAULT_APPS.get(key) or App("chat")

    def _mode(self, key: str) -> str | None:
        if self.apps:
            return self.apps[key].mode if key in self.apps else None
        return self._app(key).mode if key.startswith("app-") else None


def _unknown(call: Call) -> Answer:
    return error(404, "not_found", f"The requested URL was not found on the server: {call.method} {call.path}")
