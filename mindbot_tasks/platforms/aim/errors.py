"""What AIM servers refuse, in our words: codes of logins, of messages and of sign-offs; facts of 2026-11-20."""

from __future__ import annotations

from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable

PROVIDER = "aim"

#: trying again with the same name and password cannot help
_PERMANENT = frozenset({0x01, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x11, 0x20, 0x22})
_WRONG_PASSWORD = frozenset({0x01, 0x04, 0x05})
#: we, or others from our address, have come too often
_TOO_OFTEN = frozenset({0x16, 0x17, 0x18, 0x19, 0x1D})
_LOGIN = {
    0x01: "wrong name or password",
    0x04: "wrong name or password",
    0x05: "wrong name or password",
    0x06: "the server does not understand the login",
    0x07: "the account is not valid",
    0x08: "the account has been deleted",
    0x09: "the account has expired",
    0x11: "the account is suspended",
    0x16: "too many connections from this address",
    0x17: "too many connections from this address",
    0x18: "logins come too fast",
    0x19: "the account has been warned too often",
    0x1D: "logins come too fast",
    0x20: "the account wants a second factor",
    0x22: "the account is suspended",
}


class LoginRefused(Rejected):
    """The server does not let us in."""

    def __init__(self, code: int) -> None:
        why = _LOGIN.get(code, "the server cannot log anybody in now")
        super().__init__(f"{why} (code {code:02X})", kind="auth", provider=PROVIDER, code=f"{code:02X}")
        self.permanent = code in _PERMANENT
        self.too_often = code in _TOO_OFTEN
        self.wrong_password = code in _WRONG_PASSWORD


class SignedOff(Unavailable):
    """The connection is over; `elsewhere`: because somebody else signed on with our name."""

    def __init__(self, why: str, *, elsewhere: bool = False) -> None:
        super().__init__(why, kind="connection", provider=PROVIDER)
        self.elsewhere = elsewhere


class Unconfirmed(Unavailable):
    """A message went out, and the server did not say whether it took it."""

    def __init__(self) -> None:
        super().__init__("the server did not acknowledge the message", kind="ambiguous", provider=PROVIDER)


#: how long a message stays away from a connection that is down
AWAY_S = 5.0


def not_connected() -> Unavailable:
    """The server was not asked, so this is no try: the message waits until its deadline."""
    return Unavailable(
        "there is no connection to the server now",
        kind="connection",
        provider=PROVIDER,
        code="our_pause",
        retry_after_s=AWAY_S,
    )


def protocol(why: str) -> Unavailable:
    return Unavailable(why, kind="protocol", provider=PROVIDER)


_MESSAGE = {
    0x04: "the recipient is not signed on",
    0x09: "the recipient's client does not take messages",
    0x0A: "the server refused the message",
    0x0B: "the message is too long",
    0x0D: "the request was denied",
    0x0E: "the server does not understand the message",
    0x0F: "the account may not send messages",
    0x10: "the account blocks the recipient",
    0x11: "the account has been warned too often",
    0x12: "the recipient has been warned too often",
    0x14: "there is no such recipient",
}


def of_message(code: int) -> FarSideError:
    """What 04/01 means for a message that we sent."""
    text = f"{code:02X}"
    if code in (0x02, 0x03):
        return Throttled("messages come too fast", kind="rate_limit", provider=PROVIDER, code=text, retry_after_s=15.0)
    if why := _MESSAGE.get(code):
        kind = "not_found" if code in (0x04, 0x14) else "invalid_request"
        return Rejected(f"{why} (code {text})", kind=kind, provider=PROVIDER, code=text)
    return Unavailable(f"the server cannot take the message now (code {text})", provider=PROVIDER, code=text)
