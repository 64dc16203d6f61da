"""A mail server that keeps what it gets; its control API is HTTP like that of all emulators."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Sequence
from email.policy import default
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from emulators.faults import AnyRule
from emulators.front import Front, no_such_path

_SAYABLE = ("", "421 4.3.2 try again later", "450 4.2.1 try again later", "550 5.1.1 no such user", "554 5.7.1 refused")


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    smtp_host: str = "127.0.0.1",
    smtp_port: int = 0,
    username: str = "",
    password: str = "",
) -> web.Application:
    """`username` "": nobody has to log in."""
    server = MailServer(username, password, delay_ms)
    front = server.front = Front(
        "smtp", unknown=no_such_path, reset=server.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    front.control("GET", "/smtp", lambda _: {"port": server.port})
    front.control("GET", "/sent", lambda _: server.messages)
    front.control("POST", "/refuse", server.refuse)

    async def start(_: web.Application) -> None:
        await server.start(smtp_host, smtp_port)

    async def stop(_: web.Application) -> None:
        server.stop()

    front.app.on_startup.append(start)
    front.app.on_shutdown.append(stop)
    return front.finish()


class MailServer:
    """Handler of aiosmtpd, and what it keeps."""

    front: Front

    def __init__(self, username: str, password: str, delay_ms: float) -> None:
        self._login = (username, password)
        self._delay_s = delay_ms / 1000
        self._server: asyncio.Server | None = None
        self._refusals: list[str] = []
        self.messages: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        assert self._server is not None  # noqa: S101 - the application has started it
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def reset(self) -> None:
        self.messages.clear()
        self._refusals.clear()

    def refuse(self, values: dict[str, Any]) -> None:
        """{"say": the answer to the next message, "times": how often}. ValueError for another answer."""
        say = str(values.get("say", ""))
        if say not in _SAYABLE:
            raise ValueError(f"say must be one of {', '.join(filter(None, _SAYABLE))}")
        self._refusals = [say] * int(values.get("times", 1)) if say else []

    async def start(self, host: str, port: int) -> None:
        needed = bool(self._login[0])

        def connected() -> SMTP:
            return SMTP(
                self, hostname="mail.test", enable_SMTPUTF8=True, authenticator=self._authenticate,
                auth_required=needed, auth_require_tls=False,
            )  # fmt: skip

        self._server = await asyncio.get_running_loop().create_server(connected, host, port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else ("", "")
        return AuthResult(success=given == self._login, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one message."""
        await asyncio.sleep(self._delay_s)
        said = self._refusals.pop() if self._refusals else ""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = email.message_from_bytes(content, policy=default)
        plain, html = message.get_body(("plain",)), message.get_body(("html",))
        told = {
            "to": list(envelope.rcpt_tos),
            "from": envelope.mail_from,
            "subject": str(message["Subject"]),
            "message_id": str(message["Message-ID"]),
            "text": plain.get_content() if plain is not None else "",
            "html": html.get_content() if html is not None else "",
        }
        self.front.log.noted("mail", {"to": told["to"], "subject": told["subject"], "accepted": not said})
        if said:
            return said
        self.messages.append(told)
        return "250 OK"
