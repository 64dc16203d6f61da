"""SMS by Twilio: its own SDK over our HTTP, so that a call ends with its deadline.

https://www.twilio.com/docs/messaging/api/message-resource and /docs/api/errors, 2026-11.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import retry_after_s
from mindbot_tasks.core.settings import SmsProviderSettings
from mindbot_tasks.model.alert import Accepted, Channel, DeliveryReport, Notification
from mindbot_tasks.notifiers import wire
from mindbot_tasks.notifiers.receipts import twilio_state

_AUTH = frozenset({20003, 20403, 20404})
_log = logging.getLogger("twilio.http_client")


class TwilioSms:
    """Messages of one account."""

    channel: ClassVar[Channel] = Channel.SMS
    tells_cost: ClassVar[Literal[True]] = True

    def __init__(self, name: str, settings: SmsProviderSettings, *, status_callback: str = "") -> None:
        self.name = name
        self._settings = settings
        self._sid = wire.plain(settings.account_sid)
        self._token = wire.plain(settings.auth_token)
        self._status_callback = status_callback

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        """One message. There is no idempotency key: after Unavailable it may exist."""
        options: dict[str, Any] = {
            "to": notification.address,
            "body": notification.short,
            "validity_period": self._settings.valid_for,
        }
        if self._settings.messaging_service_sid:
            options["messaging_service_sid"] = self._settings.messaging_service_sid
        else:
            options["from_"] = self._settings.from_number
        if self._status_callback:
            options["status_callback"] = self._status_callback
        made = self._asked(deadline, lambda client: client.messages.create(**options))
        parts = int(made.num_segments or 1)
        return Accepted(str(made.sid), *self._cost(made, parts), segments=parts)

    def query(self, provider_message_id: str, notification: Notification, deadline: Deadline) -> DeliveryReport | None:
        found = self._asked(deadline, lambda client: client.messages(provider_message_id).fetch())
        state = twilio_state(str(found.status or ""))
        if state is None:
            return None
        cost, currency = self._cost(found, int(found.num_segments or 1))
        return DeliveryReport(state, str(found.error_code or ""), cost, currency)

    def examine(self, deadline: Deadline) -> str:
        account = self._asked(deadline, lambda client: client.api.v2010.accounts(self._sid).fetch())
        if account.status != "active":
            raise Rejected(f"the account is {account.status}", kind="auth", provider=self.name)
        return f"{account.friendly_name or 'account'}: {account.status}"

    def _cost(self, message: Any, parts: int) -> tuple[float | None, str]:
        """Twilio says it some time after it took the message, as a negative number."""
        if message.price is not None:
            return abs(float(message.price)), str(message.price_unit or "USD").upper()
        if self._settings.price is not None:
            return self._settings.price * parts, self._settings.currency
        return None, ""

    def _asked(self, deadline: Deadline, work: Any) -> Any:
        transport = _Transport(self.name, self._settings.base_url, deadline.within(self._settings.timeout))
        try:
            return work(Client(self._sid, self._token, http_client=transport))
        except TwilioRestException as exc:
            raise self._meaning(exc, transport.retry_after_s) from None
        except TwilioException as exc:
            raise Unavailable(
                f"an answer that cannot be read ({type(exc).__name__})", kind="protocol", provider=self.name
            ) from None

    def _meaning(self, exc: TwilioRestException, wait_s: float | None) -> Rejected | Throttled | Unavailable:
        code = str(exc.code) if exc.code is not None else None
        words = f"Twilio answered {exc.status}" + (f", code {code}" if code else "")
        if exc.status == 429:
            return Throttled(words, kind="rate_limit", provider=self.name, status=429, code=code, retry_after_s=wait_s)
        if exc.status >= 500:
            return Unavailable(words, kind="server", provider=self.name, status=exc.status, code=code)
        kind = "auth" if exc.status in (401, 403) or exc.code in _AUTH else "invalid_request"
        return Rejected(words, kind=kind, provider=self.name, status=exc.status, code=code)


class _Transport(HttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's HTTP, on ours; for one call."""

    def __init__(self, name: str, base_url: str, deadline: Deadline) -> None:
        super().__init__(_log, is_async=False)
        self._name = name
        self._base_url = base_url
        self._deadline = deadline
        self.retry_after_s: float | None = None

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        body = urlencode({name: value for name, value in (data or {}).items() if value is not None}, doseq=True)
        response = wire.call(
            method.upper(),
            self._here(uri),
            provider=self._name,
            deadline=self._deadline,
            headers=sent,
            params={name: str(value) for name, value in (params or {}).items() if value is not None} or None,
            body=body.encode() if data else None,
        )
        self.retry_after_s = retry_after_s(response.headers)
        return Response(response.status, response.body.decode("utf-8", "replace"), response.headers)

    def _here(self, uri: str) -> str:
        if not self._base_url:
            return uri
        base, wanted = urlsplit(self._base_url), urlsplit(uri)
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + wanted.path, wanted.query, ""))
