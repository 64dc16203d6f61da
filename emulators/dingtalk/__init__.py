"""DingTalk: the robot's server API, and a sender of signed robot callbacks.

One module for each part of the API; `create_app` puts them together. A further part is a module with a
`serve(front, ...)` of its own.
"""

from __future__ import annotations

from typing import Unpack

from aiohttp import web

from emulators.answers import Answer, Call
from emulators.dingtalk import cards, gateway, media, posting, robot, tokens, votes
from emulators.dingtalk.sender import DingTalkSender
from emulators.dingtalk.sessions import Sessions
from emulators.dingtalk.tokens import Tokens, api_error
from emulators.front import Front, Usual

__all__ = ["DingTalkSender", "create_app"]


def create_app(
    *,
    app_key: str = "",
    app_secret: str = "",
    token_lifetime_s: float = 7200,
    **usual: Unpack[Usual],
) -> web.Application:
    """`app_key` "": every app may fetch a token, whatever its secret."""
    issued = Tokens(app_key, app_secret, token_lifetime_s)
    sessions = Sessions()
    state = robot.Robot(issued, sessions)
    shown = cards.Cards(issued)
    files = media.Media(issued)

    def reset() -> None:
        issued.reset()
        sessions.reset()
        state.reset()
        shown.reset()
        files.reset()
        streams.reset()

    front = Front(
        "dingtalk",
        unknown=_unknown,
        reset=reset,
        **usual,
        max_body_bytes=24 * 1024 * 1024,  # files are uploaded
    )
    streams = gateway.Gateway(front, issued)
    tokens.serve(front, issued)
    robot.serve(front, state)
    posting.serve(front)
    cards.serve(front, shown)
    media.serve(front, files)
    votes.serve(front, shown)
    gateway.serve(front, streams)
    return front.finish()


def _unknown(call: Call) -> Answer:
    return api_error(404, "InvalidAction.NotFound", f"{call.method} {call.path} is not known here")
