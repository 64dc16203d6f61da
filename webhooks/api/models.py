"""What the API answers, as OpenAPI shows it. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mindbot_tasks.model.message import FINISHED, State
from mindbot_tasks.stores.trace import Trace
from mindbot_tasks.stores.usage import GROUPINGS
from webhooks.markdown import to_html

MAX_ID = 2**63 - 1
_GROUPING = "|".join(GROUPINGS)


class View(BaseModel):
    """Base of everything that goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassificationView(View):
    """What kind of request it was taken for, and how sure that is."""

    label: str
    confidence: float = Field(description="0 to 1")
    reason: str = ""


class FileView(View):
    """A file of the answer; its bytes are at /messages/{id}/files/{file id}."""

    id: int
    kind: str = Field(description="image, voice, video or file")
    name: str
    media_type: str = Field(description="as found in the bytes")
    size: int


class AnswerView(View):
    """What the bot said, and where that came from."""

    text: str = Field(description="markdown")
    html: str | None = Field(default=None, description="the same, safe to show; only with render=html")
    provider: str
    model: str
    workflow: str
    input_tokens: int
    output_tokens: int
    latency_ms: int
    first_token_ms: int | None
    details: dict[str, Any] = {}
    files: list[FileView] = []


class EventView(View):
    """One step: what happened when, where, and how long after the step before."""

    at: int
    step: str
    state: str
    attempt: int
    worker: str
    took_ms: int
    note: str


class SentView(View):
    """One piece that the platform took."""

    part: int
    external_id: str
    sent_at: int
    note: str


class VoteView(View):
    """What a person thinks of the answer."""

    user_id: str = Field(description="the platform's own id")
    vote: str = Field(description="up or down")
    voted_at: int


class MessageSummary(View):
    """One message in a list."""

    id: int
    platform: str
    bot: str
    external_id: str
    conversation_id: str = Field(description="the platform's own id")
    sender_id: str = Field(description="the platform's own id")
    text: str
    state: State
    finished: bool = Field(description="the state is an end; nothing more will happen")
    verdict: str | None = Field(description="why it will not get its answer: failed, late, poison or cancelled")
    error: str | None
    retries: int
    label: str | None
    received_at: int
    classified_at: int | None
    answered_at: int | None
    replying_at: int | None
    finished_at: int | None
    deadline_at: int


class MessageView(MessageSummary):
    """One message with its classification, its answer once there is one, and its whole timeline."""

    classification: ClassificationView | None
    answer: AnswerView | None
    timeline: list[EventView]
    sends: list[SentView]
    votes: list[VoteView] = []
    trace_id: str | None = Field(None, description="of its OpenTelemetry trace; null: it is not traced")


class MessagePage(View):
    """Newest first. `next_before_id` goes into `before_id` to get the next page; null on the last."""

    messages: list[MessageSummary]
    next_before_id: int | None


class PlatformView(View):
    """One bot; ages in seconds, null: never or unknown."""

    platform: str
    bot: str
    ok: bool = Field(description="false: something of this bot does not work, whatever the rest does")
    reason: str
    connection: str = Field(description="of bots that need one: online, connecting, backing_off, refused, stopped or "
                                        "no_data; else not_needed")  # fmt: skip
    connection_detail: str
    connection_since_s: float | None
    last_frame_s: float | None
    token: str | None = Field(description="good, none (nobody needed one lately), refused; null: it uses none")
    token_left_s: float | None
    last_inbound_s: float | None
    last_outbound_s: float | None


class PlatformList(View):
    """Every bot that is on."""

    platforms: list[PlatformView]


class UsageRow(View):
    """Calls of models of one group, added up; keys that were not asked for are missing."""

    day: str | None = None
    platform: str | None = None
    bot: str | None = None
    user: str | None = Field(default=None, description="the platform's own id")
    provider: str | None = None
    model: str | None = None
    workflow: str | None = None
    purpose: str | None = Field(default=None, description="answer, agent, summary, embedding ...")
    answers: int
    calls: int = Field(description="failed tries, and calls that are no answers, too")
    failures: int
    input_tokens: int
    output_tokens: int
    mean_ms: int
    cost: float = Field(description="in the currency of the prices")
    unpriced_calls: int = Field(description="calls that used tokens of a model without a price")


class BudgetView(View):
    """A budget of today, and what of it is used."""

    scope: Literal["installation", "bot", "user"]
    platform: str
    bot: str
    user: str = Field(description="the platform's own id")
    cost: float
    cost_limit: float = Field(description="0: none")
    tokens: int
    tokens_limit: int = Field(description="0: none")
    used: float = Field(description="share; 1: all")
    level: Literal["", "soft", "hard"] = Field(description="soft: a cheaper model answers; hard: messages are refused")


class UsageView(View):
    """What calls of models have used and cost, and what is left of today's budgets."""

    currency: str
    usage: list[UsageRow]
    budgets: list[BudgetView]
    left_of_day_s: int = Field(description="until all budgets are new")


class UsageQuery(BaseModel):
    """How to group, and how far to look back."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(pattern=rf"^(?:{_GROUPING})(?:,(?:{_GROUPING}))*$", max_length=100)] = "provider,model"
    days: Annotated[int, Field(ge=1, le=400)] = Field(default=7, description="today included")


class ListQuery(BaseModel):
    """Filters; all must hold."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    platform: Annotated[str, Field(max_length=40)] = ""
    bot: Annotated[str, Field(max_length=80)] = ""
    conversation_id: Annotated[str, Field(max_length=255)] = ""
    sender_id: Annotated[str, Field(max_length=255)] = ""
    unfinished: bool = False
    before_id: Annotated[int | None, Field(ge=1, le=MAX_ID)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class SendBody(BaseModel):
    """A message that nobody asked for."""

    model_config = ConfigDict(extra="forbid")

    platform: Annotated[str, Field(min_length=1, max_length=40)]
    bot: Annotated[str, Field(min_length=1, max_length=80)] = "default"
    to: Annotated[str, Field(pattern=r"\S", max_length=255)] = Field(description="the platform's own id of a person")
    group: bool = Field(default=False, description="`to` is the platform's own id of a group")
    text: Annotated[str, Field(pattern=r"\S", max_length=100_000)] = Field(description="markdown")
    key: Annotated[str, Field(max_length=200)] = Field(default="", description="the same key again sends nothing")


class LabelBody(BaseModel):
    """What kind of request a message really was."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(pattern=r"\S", max_length=80)] = Field(description="a workflow's name, or general_chat")


class LabelledBody(View):
    """It is noted, and counts when the classifier is trained the next time."""

    id: int
    label: str


class SentBody(View):
    """It is recorded; what becomes of it is told by `/messages/<id>`."""

    id: int
    fresh: bool = Field(description="false: it was handed in before with this key")


class ShowQuery(BaseModel):
    """How to show it."""

    model_config = ConfigDict(extra="forbid")

    render: Literal["markdown", "html"] = "markdown"


def summary(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a message in the words of the API."""
    return {
        "id": row["id"],
        "platform": row["platform"],
        "bot": row["bot"],
        "external_id": row["external_id"],
        "conversation_id": row["conversation_ref"],
        "sender_id": row["sender_ref"],
        "text": row["text"],
        "state": row["state"],
        "finished": row["state"] in FINISHED,
        "verdict": row["verdict"],
        "error": row["last_error"],
        "retries": row["retries"],
        "label": row["label"],
        **{name: row[f"{name}"] for name in _TIMES},
    }


def _files(parts: list[dict[str, Any]]) -> list[FileView]:
    return [
        FileView(
            id=data["file"],
            kind=part["kind"],
            name=str(data.get("name") or ""),
            media_type=str(data.get("media_type") or ""),
            size=int(data.get("size") or 0),
        )
        for part in parts
        if isinstance((data := part["data"]).get("file"), int)
    ]


_TIMES = ("received_at", "classified_at", "answered_at", "replying_at", "finished_at", "deadline_at")


def message_view(trace: Trace, *, html: bool) -> MessageView:
    """Everything that callers may know about one message."""
    row, answer = trace.message, trace.answer
    return MessageView(
        **summary(row),
        classification=None
        if row["label"] is None
        else ClassificationView(
            label=row["label"],
            confidence=row["confidence"] or 0.0,
            reason=str((row["classification"] or {}).get("reason", "")),
        ),
        answer=None
        if answer is None
        else AnswerView(
            **{name: answer[name] for name in AnswerView.model_fields if name not in ("html", "files")},
            files=_files(answer["parts"]),
            html=to_html(answer["text"]) if html else None,
        ),
        timeline=[
            EventView(
                at=event.at,
                step=event.step,
                state=event.state,
                attempt=event.attempt,
                worker=event.worker,
                took_ms=event.took_ms,
                note=event.note,
            )
            for event in trace.events
        ],
        sends=[
            SentView(part=sent.part, external_id=sent.external_id, sent_at=sent.sent_at, note=sent.note)
            for sent in trace.sends
        ],
        votes=[VoteView(user_id=vote.user_ref, vote=vote.vote, voted_at=vote.voted_at) for vote in trace.votes],
        trace_id=row["trace_id"],
    )
