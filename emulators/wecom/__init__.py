"""WeCom: the API of apps (tokens, messages, files) and of customer service, and a sender of encrypted callbacks.

One module for each part; `create_app` puts them together. A further part is a module with a `serve(front, api)` of its
own, added to PARTS: `api` checks tokens, has the clock and the errcodes that were ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from aiohttp import web

from emulators.front import Front, Usual
from emulators.wecom import contacts, kf, media, messages, posting
from emulators.wecom.api import Api, unknown
from emulators.wecom.sender import WeComSender

__all__ = ["WeComSender", "create_app"]

#: each adds its endpoints, and its forgetting to `api.resets`
PARTS: Sequence[Callable[[Front, Api], None]] = (
    messages.serve,
    media.serve,
    contacts.serve,
    posting.serve,
    kf.serve,
)


def create_app(
    *,
    corpid: str = "",
    secret: str = "",
    token_lifetime_s: float = 7200,
    **usual: Unpack[Usual],
) -> web.Application:
    """`corpid` "": every app may fetch a token, whatever its secret."""
    api = Api(corpid, secret, token_lifetime_s)
    front = Front(
        "wecom",
        unknown=unknown,
        reset=api.reset,
        **usual,
    )
    api.serve(front)
    for part in PARTS:
        part(front, api)
    return front.finish()
