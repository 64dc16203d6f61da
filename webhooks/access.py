"""Who may look: a program with an API key, or a person at this very machine who uses the playground."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass

import flask

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.platforms.registry import PLAYGROUND, playground_on

PLAYGROUND_PLATFORM = "chat"
_CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are; `conversation` limits what they see to one of the playground."""

    name: str  #: for limits and logs; never the key itself
    conversation: str | None = None

    def may_see(self, platform: str, bot: str, conversation: str) -> bool:
        """Whether a message of this conversation is any of their business."""
        if self.conversation is None:
            return True
        return (platform, bot, conversation) == (PLAYGROUND_PLATFORM, PLAYGROUND, self.conversation)


def settings() -> Settings:
    """The settings that this application was made with."""
    found: Settings = flask.current_app.config["MINDBOT"]
    return found


def caller() -> Caller | None:
    """Who is calling, or None. An API key that is given must be right: no other way in is tried then."""
    header = flask.request.headers.get("Authorization", "")
    if header:
        scheme, _, key = header.partition(" ")
        return _by_key(key.strip()) if scheme.lower() == "bearer" else None
    conversation = flask.session.get(_CONVERSATION)
    if isinstance(conversation, str) and playground_allowed():
        return Caller("playground", conversation)
    return None


def _by_key(key: str) -> Caller | None:
    given = hashlib.sha256(key.encode("utf-8", "replace")).digest()
    known = [hashlib.sha256(own.get_secret_value().encode()).digest() for own in settings().web.api_keys]
    if any(hmac.compare_digest(given, own) for own in known):
        return Caller("key " + given.hex()[:12])
    return None


def playground_allowed() -> bool:
    """Whether this caller may use the playground.

    `web.playground: true` lets everybody in who reaches the port; left out, it is for people at this machine only, and
    off in production mode. Needs MINDBOT_SECRET_KEY, which signs its messages.
    """
    return playground_on(settings()) and (settings().web.playground is True or _from_this_machine())


def _from_this_machine() -> bool:
    """The connection comes from loopback, through no proxy, and the browser believes it talks to this machine.

    The last keeps out pages of strangers whose name was made to point here (DNS rebinding).
    """
    request = flask.request
    if any(request.headers.get(name) for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip")):
        return False
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    return _is_loopback(request.remote_addr or "") and (host == "localhost" or _is_loopback(host.strip("[]")))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def conversation() -> str:
    """The playground conversation of this browser; begins one if there is none."""
    found = flask.session.get(_CONVERSATION)
    return found if isinstance(found, str) else new_conversation()


def new_conversation() -> str:
    """A fresh conversation for this browser."""
    flask.session[_CONVERSATION] = made = "playground-" + secrets.token_urlsafe(12)
    return made
