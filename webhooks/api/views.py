"""The addresses of the API."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import flask
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks import intake
from mindbot_tasks.chat.labels import known_labels
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import WritesFirst
from mindbot_tasks.platforms.condition import conditions
from mindbot_tasks.platforms.registry import PLAYGROUND
from mindbot_tasks.stores import files, learning, trace
from mindbot_tasks.stores.database import reading, transaction
from webhooks import access, errors
from webhooks.api import events
from webhooks.api.models import (
    MAX_ID,
    LabelBody,
    LabelledBody,
    ListQuery,
    MessagePage,
    MessageSummary,
    MessageView,
    PlatformList,
    PlatformView,
    SendBody,
    SentBody,
    ShowQuery,
    message_view,
    summary,
)

api = APIBlueprint("api", __name__, url_prefix="/api/v1", tag="messages")


@api.before_request
def _authenticate() -> ResponseReturnValue | None:
    caller = access.caller()
    if caller is None:
        response = errors.error(401, "unauthorised", "This needs a valid API key: Authorization: Bearer ...")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    flask.g.caller = caller
    return None


def _show(message_id: int, caller: access.Caller, *, html: bool) -> MessageView | None:
    """The message, if it exists and is this caller's business."""
    with reading() as connection:
        found = trace.get_trace(connection, message_id) if message_id <= MAX_ID else None
    if found is None:
        return None
    row = found.message
    if not caller.may_see(row["platform"], row["bot"], row["conversation_ref"]):
        return None
    return message_view(found, html=html)


def _not_found() -> flask.Response:
    return errors.error(404, "not_found", "There is no such message, or it is not yours to see.")


@api.get("/messages/<int:message_id>")
@api.input(ShowQuery, location="query", arg_name="query")
@api.output(MessageView)
@api.doc(
    summary="One message",
    description="Its state, classification, timeline, and the answer once there is one.",
    security="key",
    responses={401: "No valid API key", 404: "No such message", 429: "Too many requests", 503: "Database away"},
)
def get_message(message_id: int, query: ShowQuery) -> Any:
    """One message with everything that is known about it."""
    return _show(message_id, flask.g.caller, html=query.render == "html") or _not_found()


@api.get("/messages")
@api.input(ListQuery, location="query", arg_name="query")
@api.output(MessagePage)
@api.doc(
    summary="List messages",
    description="Newest first; pages by `before_id`.",
    security="key",
    responses={401: "No valid API key", 429: "Too many requests", 503: "Database away"},
)
def list_messages(query: ListQuery) -> Any:
    """The newest messages first."""
    caller: access.Caller = flask.g.caller
    own = caller.conversation
    wanted = trace.Filter(
        state=query.state or "",
        platform=access.PLAYGROUND_PLATFORM if own else query.platform,
        bot=PLAYGROUND if own else query.bot,
        conversation=own or query.conversation_id,
        sender=query.sender_id,
        unfinished=query.unfinished,
        before_id=query.before_id,
    )
    with reading() as connection:
        rows = trace.list_messages(connection, wanted, limit=query.limit + 1)
    page = rows[: query.limit]
    return MessagePage(
        messages=[MessageSummary(**summary(row)) for row in page],
        next_before_id=page[-1]["id"] if len(rows) > query.limit else None,
    )


@api.get("/platforms")
@api.output(PlatformList)
@api.doc(
    summary="How each bot is",
    description="Connection, access token, and when it last heard and said something.",
    security="key",
    responses={401: "No valid API key", 404: "Not yours to see", 429: "Too many requests"},
)
def list_platforms() -> Any:
    """Every bot that is on."""
    if flask.g.caller.conversation is not None:
        return errors.error(404, "not_found", "That is for holders of an API key.")
    return PlatformList(platforms=[PlatformView(**one.as_record()) for one in conditions(access.settings())])


@api.post("/send")
@api.input(SendBody, arg_name="body")
@api.output(SentBody, status_code=202)
@api.doc(
    summary="Send a message",
    description="To a person or a group that has not asked. It is delivered like an answer, in order and with retries.",
    security="key",
    responses={
        400: "The body is no JSON",
        401: "No valid API key",
        403: "A key is needed",
        404: "No such bot",
        409: "The bot can only answer there",
        429: "Too many requests",
        503: "Database away",
    },
)
def send(body: SendBody) -> Any:
    """A message that nobody asked for."""
    caller: access.Caller = flask.g.caller
    if caller.conversation is not None:
        return errors.error(403, "forbidden", "This needs an API key.")
    platform = registry.get(body.platform, body.bot)
    if not isinstance(platform, WritesFirst):
        return errors.error(409, "cannot_write_first", "On this platform the bot can only answer.")
    try:
        sent = intake.send(
            platform,
            [Part("markdown", body.text)],
            user_id="" if body.group else body.to.strip(),
            conversation_id=body.to.strip() if body.group else "",
            key=body.key or uuid.uuid4().hex,
        )
    except Rejected as exc:
        return errors.error(409, "cannot_write_first", str(exc))
    return SentBody(id=sent.message_id, fresh=sent.fresh)


@api.get("/messages/<int:message_id>/files/<int:file_id>")
@api.doc(
    summary="A file of a message",
    description="The bytes of a file that came with a message or belongs to its answer.",
    security="key",
    responses={
        200: "The bytes",
        401: "No valid API key",
        404: "No such file",
        429: "Too many requests",
        503: "Database or file store away",
    },
)
def get_file(message_id: int, file_id: int) -> ResponseReturnValue:
    """Always as a download: nothing that people sent is to be opened by a browser under our name."""
    if file_id > MAX_ID or _show(message_id, flask.g.caller, html=False) is None:
        return _not_found()
    try:
        file = files.find(file_id, message_id=message_id)
        chunks = file.chunks()
        first = next(chunks, b"")
    except Rejected:
        return errors.error(404, "not_found", "There is no such file, or it is no longer kept.")
    except Unavailable:
        return errors.error(503, "files_unavailable", "The file store does not answer.")
    response = flask.Response(itertools.chain((first,), chunks), content_type=file.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=file.name or f"file-{file_id}")
    response.headers["Content-Length"] = str(file.size)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@api.post("/messages/<int:message_id>/label")
@api.input(LabelBody, arg_name="body")
@api.output(LabelledBody)
@api.doc(
    summary="Correct a classification",
    description="What kind of request the message really was: an example for the next training of the classifier.",
    security="key",
    responses={
        400: "The body is no JSON",
        401: "No valid API key",
        403: "A key is needed",
        404: "No such message",
        409: "There is no workflow of this name",
        429: "Too many requests",
        503: "Database away",
    },
)
def label_message(message_id: int, body: LabelBody) -> Any:
    """The word of somebody who knows."""
    caller: access.Caller = flask.g.caller
    if caller.conversation is not None:
        return errors.error(403, "forbidden", "This needs an API key.")
    label = body.label.strip()
    if label not in known_labels(access.settings().workflows):
        return errors.error(409, "no_such_label", "There is no workflow of this name, and it is not general_chat.")
    if message_id > MAX_ID:
        return _not_found()
    with transaction() as connection:
        if not learning.give_label(connection, message_id, label, "correction", caller.name):
            return _not_found()
    return LabelledBody(id=message_id, label=label)


@api.get("/messages/<int:message_id>/events")
@api.input(ShowQuery, location="query", arg_name="query")
@api.doc(
    summary="Watch one message",
    description="Server-sent events: `message` (the whole message) at every change, `text` while the answer grows, "
    "`done` with the final message. Ends after ten minutes with `timeout`.",
    security="key",
    responses={
        200: "Events (text/event-stream)",
        401: "No valid API key",
        404: "No such message",
        429: "Too many requests",
        503: "Too many streams, or database away",
    },
)
def watch_message(message_id: int, query: ShowQuery) -> ResponseReturnValue:
    """Everything that happens to a message, until it ends."""
    caller: access.Caller = flask.g.caller
    html = query.render == "html"
    if _show(message_id, caller, html=False) is None:
        return _not_found()
    give_back = _places().take()
    if give_back is None:
        response = errors.error(503, "too_many_streams", "Too many streams are open; ask for the message instead.")
        response.headers["Retry-After"] = "5"
        return response
    response = flask.Response(
        events.stream(message_id, lambda: _show(message_id, caller, html=html), html=html),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    response.call_on_close(give_back)
    return response


def _places() -> events.Places:
    """The streams of this application; made at the first."""
    found: events.Places = flask.current_app.extensions.setdefault(
        "mindbot_streams", events.Places(access.settings().web.max_streams)
    )
    return found
