"""The page at /: write to the bot, watch the stages, read the answer and where it came from.

Its messages take the way of every other: signed, through the door of the generic platform's built-in bot "playground".
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime

import flask
import orjson
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.platforms import registry, standard_webhooks
from mindbot_tasks.platforms.base import Inbound
from webhooks import access, errors
from webhooks.console import words
from webhooks.receive import take

LONGEST_TEXT = 8_000

console = APIBlueprint(
    "console",
    __name__,
    enable_openapi=False,
    template_folder="templates",
    static_folder="static",
    static_url_path="/console/static",
)


@console.before_request
def _only_where_allowed() -> ResponseReturnValue | None:
    if (flask.request.endpoint or "").endswith(".static") or access.playground_allowed():
        return None
    return errors.error(404, "not_found", "There is nothing here.")


@console.get("/")
def page() -> ResponseReturnValue:
    """The playground, in the language of the browser or of ?lang=."""
    if flask.request.args.get("lang") in words.LANGUAGES:
        flask.session["language"] = flask.request.args["lang"]
    language = words.choose(flask.session.get("language"), access.settings().language, flask.request.accept_languages)
    access.conversation()
    from webhooks.console.documents import may_add  # joins this blueprint, so it cannot be imported before

    html = flask.render_template(
        "playground.html",
        language=language,
        words=words.WORDS[language],
        flower_url=_flower_url(),
        most=LONGEST_TEXT,
        documents=may_add(),
        alerts=access.console_reachable() and access.settings().alert_manager is not None,
    )
    response = flask.make_response(html)
    response.headers["Vary"] = "Accept-Language, Cookie"
    return response


@console.post("/playground/messages")
def send() -> ResponseReturnValue:
    """Put one message through the door; answers with its id."""
    given = flask.request.get_json(silent=True)
    text = given.get("text") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip():
        return errors.error(400, "empty", "Write something first.")
    if len(text) > LONGEST_TEXT:
        return errors.error(413, "too_long", f"A message has at most {LONGEST_TEXT} characters here.")
    platform = registry.get(access.PLAYGROUND_PLATFORM, registry.PLAYGROUND)
    _, message_ids = take(platform, _signed(text, access.conversation()))
    return {"id": message_ids[0]}, 202


@console.post("/playground/conversations")
def begin() -> ResponseReturnValue:
    """Leave the old conversation behind."""
    access.new_conversation()
    return "", 204


def _signed(text: str, conversation: str) -> Inbound:
    """The webhook call that another system would make."""
    received_at_ms = now_ms()
    event = {
        "type": "message.created",
        "timestamp": datetime.fromtimestamp(received_at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "data": {
            "text": text,
            "conversation_id": conversation,
            "conversation_title": "Playground",
            "user_id": conversation,
            "user_name": "Playground",
        },
    }
    body = orjson.dumps(event)
    secret = registry.playground_secret(access.settings())
    headers = standard_webhooks.sign(
        [secret], "playground_" + secrets.token_hex(12), body, now_s=received_at_ms // 1000
    )
    return Inbound("POST", headers, {}, body, received_at_ms)


def _flower_url() -> str:
    """Where Flower is; "" when nobody said."""
    port = os.environ.get("FLOWER_PORT", "")
    return access.settings().web.flower_url or (f"http://127.0.0.1:{port}/" if port.isdigit() else "")
