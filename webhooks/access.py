"""Who may look: a program with an API key, a person at this very machine, or one who signed in with a key."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import flask

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.platforms.registry import PLAYGROUND, playground_on

PLAYGROUND_PLATFORM = "chat"
_CONVERSATION = "conversation"
_OPERATOR = "operator"
_OPERATOR_NAME = "operator_name"
SIGNED_IN_FOR_MS: Final = 12 * 3_600_000
_LONGEST_NAME = 60


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


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may use the console; `name` is what stands in the history."""

    name: str
    signed_in: bool  #: with a key; else they are at this machine


def console_reachable() -> bool:
    """Whether there is any way into the console for this caller; where there is none, it does not show itself."""
    here = settings()
    if not here.web.console or not here.secret_key.get_secret_value():
        return False
    return bool(here.web.api_keys) or _needs_no_key()


def operator() -> Operator | None:
    """Who uses the console, or None: they have to sign in. A key that was taken out of the settings ends it at once."""
    if not console_reachable():
        return None
    name = str(flask.session.get(_OPERATOR_NAME) or "")
    told = flask.session.get(_OPERATOR)
    if isinstance(told, dict):
        fresh = 0 <= now_ms() - int(told.get("since") or 0) < SIGNED_IN_FOR_MS
        held = str(told.get("key") or "").encode()
        known = [_mark(own.get_secret_value()).encode() for own in settings().web.api_keys]
        if fresh and any(hmac.compare_digest(held, own) for own in known):
            return Operator(name or "console", signed_in=True)
    return Operator(name or "console", signed_in=False) if _needs_no_key() else None


def sign_in(key: str, name: str) -> bool:
    """Remember in this browser that it showed a key; False: the key does not hold."""
    if not key.strip() or _by_key(key.strip()) is None:
        return False
    flask.session[_OPERATOR] = {"key": _mark(key.strip()), "since": now_ms()}
    call_operator(name)
    return True


def sign_out() -> None:
    """This browser has to show a key again."""
    flask.session.pop(_OPERATOR, None)
    flask.session.pop(_OPERATOR_NAME, None)


def call_operator(name: str) -> None:
    """What to write into the history."""
    flask.session[_OPERATOR_NAME] = " ".join(name.split())[:_LONGEST_NAME]


def _mark(key: str) -> str:
    """What the cookie, which its owner can read, says of a key: enough to know it again, and nothing of it."""
    secret = settings().secret_key.get_secret_value()
    return hmac.new(b"mindbot operators\0" + secret.encode(), key.encode("utf-8", "replace"), "sha256").hexdigest()[:32]


def _needs_no_key() -> bool:
    """Where people try things out on their own machine. In production, and where the world has an address of this
    server, everybody signs in: a careless proxy looks like this machine."""
    here = settings()
    public = urlsplit(here.web.public_url).hostname or "localhost"
    return not here.production and _is_local(public) and _from_this_machine()


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
    return _is_loopback(request.remote_addr or "") and _is_local(host.strip("[]"))


def _is_local(host: str) -> bool:
    return host == "localhost" or _is_loopback(host)


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
