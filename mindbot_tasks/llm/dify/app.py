"""One Dify app as an answerer: asked in its own way, corrected when that was wrong, followed when the line was cut."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

import structlog
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Stopped, Unavailable
from mindbot_tasks.core.http import Http, Patience
from mindbot_tasks.core.words import say
from mindbot_tasks.llm.base import Attachment, OnText, Question, Spoken
from mindbot_tasks.llm.dify import files, inputs, modes, outputs, pauses, runs, sessions
from mindbot_tasks.llm.dify.address import CALLS, Family, base_of, stop_path
from mindbot_tasks.llm.dify.client import Client
from mindbot_tasks.llm.dify.errors import START_ANEW, WRONG_APP, note, raise_error
from mindbot_tasks.llm.dify.events import UNREADABLE, Told
from mindbot_tasks.llm.dify.sessions import Session
from mindbot_tasks.llm.sharing import with_news
from mindbot_tasks.llm.visible import Visible
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON

log = structlog.get_logger(__name__)

#: of the details of an answer: which app gave it, and as which of its messages, for votes
REMOTE = "remote"
_FINGERPRINT_CHARS = 16
_STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How to talk with an app; what a workflow's settings say about it."""

    mode: str = "auto"
    workflow_id: str = ""  #: of a published version; "": the current one
    inputs: Mapping[str, str] = field(default_factory=dict)  #: variable -> template
    text_input: str = ""
    file_input: str = ""
    output: str = ""
    show_sources: bool = False
    history: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True)
class DifyApp:
    """One app; its key selects it."""

    name: str  #: "workflow:general_chat" or "provider:dify"
    endpoint: str  #: as configured: the base address, or that of the call
    api_key: SecretStr
    workflow: str = ""
    patience: Patience | None = None
    http: Http | None = None
    manner: Manner = Manner()

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer in the remembered conversation; in a new one, once, if Dify does not know it any more.

        Raises Rejected, Throttled, Unavailable or a Stopped; Dify is told to stop when we go before the end.
        """
        try:
            return self._answer(question, sessions.read(question.session_id), deadline, on_text)
        except FarSideError as exc:
            note(exc)
            raise

    def takes(self, attachment: Attachment) -> bool:
        """Whether the app wants it is known when it is asked."""
        return files.may_take(attachment)

    @property
    def client(self) -> Client:
        return Client(self.name, base_of(self.endpoint), self.api_key, self.patience, self.http)

    def _answer(self, question: Question, session: Session, deadline: Deadline, on_text: OnText) -> Spoken:
        if session.waits and (said := self._decided(question, session, deadline, on_text)):
            return said
        session = session.rested()
        client = self.client
        family = modes.family(client, self.endpoint, self.manner.mode, deadline)
        uploaded: list[dict[str, Any]] = []
        if question.attachments:
            question, uploaded = files.Uploads(client).upload(question, deadline)
        corrected = False
        while True:
            try:
                return self._ask(question, uploaded, family, session, deadline, on_text)
            except FarSideError as exc:
                if exc.code in WRONG_APP and not corrected and (found := modes.relearn(client, family, deadline)):
                    family, corrected = found, True
                elif family == "chat" and session.conversation_id and exc.code in START_ANEW:
                    log.info("dify_conversation_renewed", answerer=self.name, code=exc.code)
                    session = replace(session, conversation_id="")
                else:
                    raise

    def _ask(
        self,
        question: Question,
        uploaded: list[dict[str, Any]],
        family: Family,
        session: Session,
        deadline: Deadline,
        on_text: OnText,
    ) -> Spoken:
        client = self.client
        started, asked_at = time.monotonic(), time.time()
        body = self._body(question, uploaded, family, session, deadline)
        if family == "chat" and (found := self._earlier(question, body, session, started, deadline, on_text)):
            return found
        told = Told(Visible(on_text, started), self.name, family, self.manner.output)
        told.conversation_id = session.conversation_id
        try:
            try:
                with client.stream("POST", self._path(family), deadline, body=body) as stream:
                    if stream.status != 200:
                        raise_error(stream.whole())
                    if "json" in (stream.headers.get("Content-Type") or ""):
                        _take_whole(told, stream.whole().json(), self.name)
                    else:
                        told.take_events(stream.events())
            except Unavailable as exc:
                text = str(body.get("query") or "")
                if not runs.is_cut(exc) or told.ended:
                    raise
                if not runs.go_on(client, told, question.user_key, text, asked_at, deadline):
                    raise
        except (Stopped, RetryableError):
            if told.task_id and not told.ended:
                self._stop(stop_path(family, told.task_id), question.user_key)
            raise
        return self._spoken(question, told, session, started, deadline)

    def _earlier(
        self,
        question: Question,
        body: Mapping[str, Any],
        session: Session,
        started: float,
        deadline: Deadline,
        on_text: OnText,
    ) -> Spoken | None:
        """The answer to a try whose worker died; None: there is none, or it could be that of an equal question."""
        if not question.again or any(turn.role == "user" and turn.text == question.text for turn in question.history):
            return None
        told = Told(Visible(on_text, started), self.name, "chat", self.manner.output)
        told.conversation_id = session.conversation_id
        if not runs.earlier(self.client, told, question.user_key, str(body["query"]), deadline):
            return None
        return self._spoken(question, told, session, started, deadline)

    def _path(self, family: Family) -> str:
        if family == "workflow" and self.manner.workflow_id:
            return f"/workflows/{quote(self.manner.workflow_id, safe='')}/run"
        return CALLS[family]

    def _body(
        self,
        question: Question,
        uploaded: list[dict[str, Any]],
        family: Family,
        session: Session,
        deadline: Deadline,
    ) -> dict[str, Any]:
        manner = self.manner
        text = question.text
        in_variable = inputs.uses(manner.inputs, "history")
        if manner.history == "always" or (manner.history == "auto" and family == "chat" and not in_variable):
            knows = bool(session.conversation_id) and manner.history == "auto"
            text = with_news(question, f"workflow:{self.workflow}" if self.workflow else self.name, knows=knows)
        body: dict[str, Any] = {"user": question.user_key, "response_mode": "streaming"}
        values: dict[str, Any] = inputs.rendered(manner.inputs, question)
        if family == "chat":
            body |= {
                "query": text,
                "conversation_id": session.conversation_id,
                "auto_generate_name": False,  # a name would cost one more model call
                **({"workflow_id": manner.workflow_id} if manner.workflow_id else {}),
            }
        else:
            values |= self._text_and_files(question, text, uploaded, values, deadline)
            uploaded = values.pop("", uploaded)
        return {**body, "inputs": values, **({"files": uploaded} if uploaded else {})}

    def _text_and_files(
        self,
        question: Question,
        text: str,
        uploaded: list[dict[str, Any]],
        given: Mapping[str, Any],
        deadline: Deadline,
    ) -> dict[str, Any]:
        """The question in the variables of an app without a conversation; "" holds the files that found none."""
        manner = self.manner
        has_text = inputs.uses(manner.inputs, "text")
        values: dict[str, Any] = {}
        fields: tuple[inputs.Field, ...] = ()
        if uploaded or not (has_text or manner.text_input):
            fields = modes.parameters(self.client, question.user_key, deadline).fields
        if uploaded:
            in_variables, left = inputs.placed(uploaded, fields, manner.file_input)
            values |= {**in_variables, "": left}
        if not has_text:
            values[manner.text_input or inputs.text_field(fields)] = text
        return inputs.defaults(fields, {**given, **values}) | values

    def _decided(self, question: Question, session: Session, deadline: Deadline, on_text: OnText) -> Spoken | None:
        """The run that waited goes on with what the user says now; None: it does not wait any more."""
        client, lang = self.client, question.language
        path = f"/form/human_input/{quote(session.form_token, safe='')}"
        if pauses.is_cancel(question.text):
            return self._said(say("dify.paused_dropped", lang), session.rested(), question)
        try:
            form = pauses.read_form(client.get(path, deadline), session.form_token)
            decision = pauses.decision(form, question.text)
            if decision is None:
                words = f"{say('dify.paused_unclear', lang)}\n\n{pauses.how(form, lang)}"
                return self._said(words, session, question)
            body = {"inputs": dict(decision.inputs), "action": decision.action, "user": question.user_key}
            client.post(path, body, deadline)
        except Rejected as exc:
            if exc.status not in (404, 410, 412):
                raise
            log.info("dify_form_gone", answerer=self.name, status=exc.status)
            return self._said(say("dify.paused_gone", lang), session.rested(), question)
        started = time.monotonic()
        family: Family = "chat" if session.conversation_id else "workflow"
        told = Told(Visible(on_text, started), self.name, family, self.manner.output)
        told.run_id, told.conversation_id = session.run_id, session.conversation_id
        runs.follow(client, told, question.user_key, deadline)
        return self._spoken(question, told, session.rested(), started, deadline)

    def _said(self, text: str, session: Session, question: Question) -> Spoken:
        """Words of ours about a run that waits."""
        answer = Answer(text=text, provider="dify", workflow=self.workflow)
        return Spoken(answer, sessions.kept(session, question.session_id))

    def _spoken(self, question: Question, told: Told, session: Session, started: float, deadline: Deadline) -> Spoken:
        session = replace(session, conversation_id=told.conversation_id or session.conversation_id)
        details: dict[str, JSON] = {"citations": list(told.citations)} if told.citations else {}
        if told.message_id:
            details[REMOTE] = {"app": self.client.fingerprint[:_FINGERPRINT_CHARS], "message_id": told.message_id}
        if told.status not in ("", "succeeded"):
            details["status"] = told.status
        text, linked = outputs.without_own_links(told.visible.end())
        for found in linked:
            told.files.setdefault(str(found["url"]), found)
        base = base_of(self.endpoint)
        parts = [outputs.made_file(found, base) for found in told.files.values()]
        if parts:
            parts = files.keep(parts, base, question.message_id, self.name, deadline)
        if told.form is not None and told.status not in ("succeeded", "partial-succeeded"):
            text = "\n\n".join(part for part in (text.strip(), pauses.asked(told.form, question.language)) if part)
            session = replace(
                session, run_id=told.run_id, form_token=told.form.token, until_s=told.form.until_s or sessions.expiry(0)
            )
            details["paused"] = True
            log.info("dify_waits_for_person", answerer=self.name, can_resume=session.waits)
        elif not text.strip() and not parts:
            raise Unavailable("the answer is empty", kind="content", provider=self.name)
        elif self.manner.show_sources and (lines := outputs.sources(told.citations, question.language)):
            text = f"{text}\n\n{lines}"
        answer = Answer(
            text=text,
            provider="dify",
            workflow=self.workflow,
            parts=tuple(parts),
            usage=told.usage,
            latency_ms=int((time.monotonic() - started) * 1000),
            first_token_ms=told.visible.first_ms,
            details=details,
        )
        return Spoken(answer, sessions.kept(session, question.session_id))

    def _stop(self, path: str, user: str) -> None:
        """Closing the connection does not stop Dify, and the model goes on to cost money."""
        try:
            self.client.post(path, {"user": user}, Deadline(_STOP_S))
            log.info("dify_stopped", answerer=self.name)
        except FarSideError as exc:
            log.warning("dify_stop_failed", answerer=self.name, kind=exc.kind)


def _take_whole(told: Told, body: Any, provider: str) -> None:
    try:
        told.take_blocking(body)
    except UNREADABLE as exc:
        raise Unavailable("the answer cannot be read", kind="protocol", provider=provider) from exc
