"""What comes of one call to a Dify app, event by event, whatever kind of app it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from mindbot_tasks.core import sse
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.llm.dify import outputs
from mindbot_tasks.llm.dify.address import Family
from mindbot_tasks.llm.dify.errors import raise_problem
from mindbot_tasks.llm.dify.pauses import Form, read_form
from mindbot_tasks.llm.visible import Visible
from mindbot_tasks.model.answer import Usage
from mindbot_tasks.model.message import JSON

#: what reading an event of an unexpected shape raises
UNREADABLE = (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, KeyError, OverflowError)
_PARTLY = "partial-succeeded"


class Told:
    """What is known of one run so far; it outlives a stream that was cut."""

    def __init__(self, visible: Visible, provider: str, family: Family, output: str = "") -> None:
        self.visible = visible
        self.family = family
        self.task_id = ""
        self.conversation_id = ""
        self.message_id = ""
        self.run_id = ""
        self.ended = False
        self.status = ""  #: of the workflow run, if there is one
        self.usage = Usage()
        self.files: dict[str, dict[str, Any]] = {}  #: by URL, which may come in more than one event
        self.citations: list[dict[str, JSON]] = []
        self.form: Form | None = None  #: it waits for a person
        self.attached_again = False  #: pieces of the text may be missing: the outputs have all of it
        self.hole = False  #: pieces are missing: what comes behind the hole is not shown before that is filled
        self._provider = provider
        self._output = output
        self._agent = False
        self._has_text = False
        self._finished = False  #: the run is; an older Dify tells the sources after that
        self._late: list[str] = []

    def take_events(self, events: Iterator[sse.Event]) -> None:
        """Read to the end. Raises Unavailable when the stream ends before its end."""
        try:
            for event in events:
                self.take_json(event.data)
                if self.ended:
                    return
        except Unavailable:
            if not self._finished or self.ended:
                raise
        if self._finished or self.form is not None:
            self.ended = True
            return
        if self.status == "failed":
            self._fail()
        raise Unavailable("the answer broke off", kind="connection", code="cut", provider=self._provider, status=200)

    def take_json(self, data: str) -> None:
        """One event as it came. Raises what an error event means, or Unavailable for what is no event."""
        try:
            self.take(orjson.loads(data))
        except UNREADABLE as exc:
            raise Unavailable("the answer cannot be read", kind="protocol", provider=self._provider) from exc

    def take(self, event: dict[str, Any]) -> None:
        """One event; unknown ones say nothing to us. Raises as `take_json`, or one of `UNREADABLE`."""
        self._take_ids(event)
        data = event.get("data") or {}
        match event.get("event"):
            case "message" if self._agent:
                self._replace(event.get("answer") or "")  # an agent's closing copy of everything
            case "message":
                self._add(event.get("answer") or "")
            case "agent_message":
                self._agent = True
                self._add(event.get("answer") or "")
            case "message_replace":  # moderation took everything back
                self._replace(event.get("answer") or "")
            case "text_chunk":
                self._add(data.get("text") or "")
            case "message_file" if event.get("belongs_to") != "user" and event.get("url"):
                self.files.setdefault(str(event["url"]), event)
            case "message_end":
                self._take_files(event.get("files"))
                self._take_metadata(event.get("metadata") or {})
                # after a cut the text has a hole, which what follows now fills
                self.ended = self._finished or not (self.attached_again and self.run_id)
            case "workflow_finished":
                self.take_result(data)
            case "human_input_required":
                self.form = read_form(data)
            case "workflow_paused":
                self.form = self.form or read_form(_first_reason(data))
                self.ended = True
            case "error":
                self.ended = True
                raise_problem(event, _whole(event.get("status")) or 500, self._provider, None)

    def take_blocking(self, body: dict[str, Any]) -> None:
        """The whole answer of a server that does not stream. Raises as `take`."""
        if isinstance(body.get("data"), dict) and "event" not in body:
            self._take_ids(body)
            self.take_result(body["data"])
        else:
            self.take(body)
            self._take_files(body.get("files"))
            self._take_metadata(body.get("metadata") or {})
        self.ended = True

    def take_result(self, data: dict[str, Any]) -> None:
        """The end of a workflow run. Raises Unavailable or Rejected for one that did not succeed."""
        self.status = str(data.get("status") or "")
        if self.status == "paused":
            self.form = self.form or Form()
            self.ended = True
            return
        if self.status == "stopped":
            self.ended = True
            raise Rejected("the workflow was stopped", kind="content", code="workflow_stopped", provider=self._provider)
        if self.status not in ("succeeded", _PARTLY):
            if self.family == "chat" and not self.attached_again and self.status == "failed":
                return  # an error event follows, and knows why
            self._fail()
        found = data.get("outputs")
        found = orjson.loads(found) if isinstance(found, str) and found[:1] == "{" else found
        self._take_files(found)
        text = outputs.text_of(found, self._output)
        if text and (not self._has_text or self.attached_again or (self._output and self.family == "workflow")):
            self._replace(text)
        elif self._late:
            self.hole = False
            self._add("".join(self._late))
        if self.usage.output_tokens == 0 and (total := _whole(data.get("total_tokens"))):
            self.usage = Usage(0, total)  # a run does not say which of them were the question's
        self._finished = True
        self.ended = self.family == "workflow" or self.attached_again

    def take_message(self, message: dict[str, Any]) -> None:
        """A finished message as GET /messages has it. Raises Unavailable for one that failed, or `UNREADABLE`."""
        if message.get("status") == "error":
            raise Unavailable("the answer failed", kind="server", code="completion_request_error",
                              provider=self._provider)  # fmt: skip
        self._replace(str(message["answer"]))
        for file in message.get("message_files") or []:
            if file.get("belongs_to") != "user" and file.get("url"):
                self.files.setdefault(str(file["url"]), file)
        self._take_metadata({"retriever_resources": message.get("retriever_resources")})
        self.ended = True

    def _fail(self) -> None:
        self.ended = True
        raise Unavailable("the workflow failed", kind="server", code="workflow_failed", provider=self._provider)

    def _take_ids(self, event: dict[str, Any]) -> None:
        for name in ("task_id", "conversation_id", "message_id"):
            if isinstance(value := event.get(name), str) and value:
                setattr(self, name, value[:100])
        if isinstance(value := event.get("workflow_run_id"), str) and value:
            self.run_id = value[:100]

    def _add(self, piece: str) -> None:
        if self.hole:
            self._late.append(_text(piece))
            return
        self._has_text = True
        self.visible.add(_text(piece))

    def _replace(self, text: str) -> None:
        self._has_text = True
        if self.visible.first_ms is None:
            self.visible.add(_text(text))
        else:
            self.visible.replace(_text(text))

    def _take_metadata(self, metadata: dict[str, Any]) -> None:
        usage = metadata.get("usage") or {}
        if usage:
            # an app whose model has no price in Dify says 0
            price, currency = float(usage.get("total_price") or 0) or None, str(usage.get("currency") or "")
            tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            self.usage = Usage(*tokens, price, currency)
        for found in metadata.get("retriever_resources") or []:
            self.citations.append(outputs.citation(found))

    def _take_files(self, value: Any) -> None:
        for found in outputs.files_in(value):
            self.files.setdefault(str(found.get("url") or found.get("remote_url")), found)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is none")
    return value


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _first_reason(data: dict[str, Any]) -> dict[str, Any]:
    """`workflow_paused` repeats what `human_input_required` said, in a list."""
    reasons = data.get("reasons")
    return reasons[0] if isinstance(reasons, list) and reasons and isinstance(reasons[0], dict) else {}
