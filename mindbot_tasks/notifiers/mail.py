"""E-mail by SMTP. A message that goes out twice has the same Message-ID, so that mail programs show it once."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import EmailSettings
from mindbot_tasks.model.alert import Accepted, Channel, Notification


class Mail:
    """One mail server and sender."""

    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(self, name: str, settings: EmailSettings) -> None:
        self.name = name
        self._settings = settings
        self._domain = parseaddr(settings.from_address)[1].rpartition("@")[2] or "mindbot.invalid"

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        message = self._written(notification)
        try:
            with self._connected(deadline) as server:
                server.send_message(message, to_addrs=[notification.address])
        except smtplib.SMTPRecipientsRefused as exc:
            code = next(iter(exc.recipients.values()), (550, b""))[0]
            raise self._meaning(code, "the address was refused") from None
        except smtplib.SMTPResponseException as exc:
            raise self._meaning(exc.smtp_code, "the server refused the message") from None
        except (smtplib.SMTPException, OSError) as exc:
            raise Unavailable(
                f"the mail server was lost ({type(exc).__name__})", kind="connection", provider=self.name
            ) from None
        return Accepted(str(message["Message-ID"]), final=True)

    def examine(self, deadline: Deadline) -> str:
        with self._connected(deadline):
            return f"{self._settings.host}:{self._settings.port}"

    def _connected(self, deadline: Deadline) -> smtplib.SMTP:
        """Signed in, if there is a user name. Raises Rejected or Unavailable; nothing was sent then."""
        deadline.check()
        settings = self._settings
        timeout_s = min(settings.timeout, deadline.remaining_s())
        context = ssl.create_default_context()
        with contextlib.ExitStack() as opened, self._trouble():
            server = (
                smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_s, context=context)
                if settings.security == "tls"
                else smtplib.SMTP(settings.host, settings.port, timeout=timeout_s)
            )
            opened.callback(server.close)
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.username and settings.password is not None:
                server.login(settings.username, settings.password.get_secret_value())
            opened.pop_all()
        return server

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        """What goes wrong before a message is handed over, as our errors."""
        try:
            yield
        except smtplib.SMTPAuthenticationError as exc:
            raise Rejected(
                "the mail server does not know these credentials", kind="auth", provider=self.name, status=exc.smtp_code
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise Rejected(
                f"the mail server does not offer {self._settings.security} or a login",
                kind="protocol",
                provider=self.name,
            ) from None
        except smtplib.SMTPResponseException as exc:
            raise self._meaning(exc.smtp_code, "the server refused the connection") from None
        except (smtplib.SMTPException, OSError) as exc:
            raise Unavailable(
                f"no connection ({type(exc).__name__})", kind="connection", code="connect", provider=self.name
            ) from None

    def _written(self, notification: Notification) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._settings.from_address
        message["To"] = notification.address
        message["Subject"] = notification.subject.replace("\n", " ").replace("\r", " ")
        message["Date"] = formatdate(notification.at_ms / 1000)
        message["Message-ID"] = f"<mindbot-notification-{notification.id}@{self._domain}>"
        # one conversation for each alert in mail programs
        thread = f"<mindbot-alert-{notification.dedup_key}@{self._domain}>"
        message["References"] = thread
        message["Auto-Submitted"] = "auto-generated"
        message["X-MindBot-Alert"] = notification.alert_code
        message.set_content(notification.long_text)
        if notification.long_html:
            message.add_alternative(notification.long_html, subtype="html")
        return message

    def _meaning(self, code: int, words: str) -> Rejected | Unavailable:
        if 400 <= code < 500:
            return Unavailable(f"{words} for now ({code})", kind="server", provider=self.name, status=code)
        return Rejected(f"{words} ({code})", kind="invalid_request", provider=self.name, status=code)
