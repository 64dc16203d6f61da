"""SMS by Alibaba Cloud (Dysmsapi 2017-05-25), signed with ACS3-HMAC-SHA256; only approved templates can be sent.

https://help.aliyun.com/document_detail/419273.html (SendSms), 419277 (QuerySendDetails), 315526 (signature), 2026-11.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import orjson

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import refuse, retry_after_s
from mindbot_tasks.core.settings import SmsProviderSettings
from mindbot_tasks.model.alert import Accepted, Channel, Delivery, DeliveryReport, Notification
from mindbot_tasks.notifiers import wire

BASE = "https://dysmsapi.aliyuncs.com"
VERSION = "2017-05-25"
_CHINA = timezone(timedelta(hours=8))
#: longest value of a template's variable
_VALUE_CHARS = 35
_THROTTLED = frozenset(
    {"isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL", "Throttling.User", "Throttling"}
)
_LATER = frozenset({"isp.SYSTEM_ERROR", "ServiceUnavailable", "InternalError"})
_AUTH = frozenset(
    {"isp.RAM_PERMISSION_DENY", "InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch", "isv.DENY_IP_RANGE",
     "InvalidAccessKeyId.Inactive", "Forbidden.RAM"}
)  # fmt: skip
_QUOTA = frozenset({"isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE"})
_STATES = {1: Delivery.SENT, 2: Delivery.UNDELIVERED, 3: Delivery.DELIVERED}


class AlibabaSms:
    """Messages of one account, all by one approved template."""

    channel: ClassVar[Channel] = Channel.SMS

    def __init__(self, name: str, settings: SmsProviderSettings) -> None:
        self.name = name
        self._settings = settings
        self._key = wire.plain(settings.access_key)
        self._secret = wire.plain(settings.secret_key)
        self._base = settings.base_url or BASE

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        told = self._asked(
            "SendSms",
            {
                "PhoneNumbers": national(notification.address),
                "SignName": self._settings.sign_name,
                "TemplateCode": self._settings.template_code,
                "TemplateParam": orjson.dumps(self._variables(notification)).decode(),
                "OutId": str(notification.id),
            },
            deadline,
        )
        price = self._settings.price
        return Accepted(str(told.get("BizId", "")), price, self._settings.currency if price is not None else "")

    def query(self, provider_message_id: str, notification: Notification, deadline: Deadline) -> DeliveryReport | None:
        told = self._asked(
            "QuerySendDetails",
            {
                "PhoneNumber": national(notification.address),
                "BizId": provider_message_id,
                "SendDate": f"{datetime.fromtimestamp(notification.at_ms / 1000, _CHINA):%Y%m%d}",
                "PageSize": "10",
                "CurrentPage": "1",
            },
            deadline,
        )
        listed = (told.get("SmsSendDetailDTOs") or {}).get("SmsSendDetailDTO") or []
        mine = [each for each in listed if str(each.get("OutId", "")) in ("", str(notification.id))]
        state = _STATES.get(int(mine[0].get("SendStatus") or 0)) if mine else None
        return DeliveryReport(state, str(mine[0].get("ErrCode") or "")) if state is not None else None

    def examine(self, deadline: Deadline) -> str:
        told = self._asked("QuerySmsTemplate", {"TemplateCode": self._settings.template_code}, deadline)
        if told.get("TemplateStatus") not in (None, 1, "1"):
            raise Rejected("the template is not approved", kind="invalid_request", provider=self.name)
        return f"{self._settings.sign_name}, {self._settings.template_code}"

    def _variables(self, notification: Notification) -> dict[str, str]:
        known = {
            "code": notification.alert_code,
            "severity": str(notification.severity),
            "component": notification.component,
            "time": f"{datetime.fromtimestamp(notification.at_ms / 1000, UTC):%m-%d %H:%M}",
            "summary": notification.subject,
        }
        return {
            name: text.format_map(known).strip()[:_VALUE_CHARS] for name, text in self._settings.template_params.items()
        }

    def _asked(self, action: str, query: Mapping[str, str], deadline: Deadline) -> dict[str, Any]:
        headers = self._signed(action, query, now=datetime.now(UTC), nonce=secrets.token_hex(16))
        response = wire.call(
            "POST",
            f"{self._base}/?{canonical(query)}",
            provider=self.name,
            deadline=deadline.within(self._settings.timeout),
            headers=headers,
        )
        told = response.json_or_none()
        if not isinstance(told, dict):
            refuse(response, kind=None if not response.ok else "protocol")
        code = str(told.get("Code") or "")
        if response.ok and code in ("OK", ""):
            return told
        raise self._meaning(code, response.status, retry_after_s(response.headers))

    def _meaning(self, code: str, status: int, wait_s: float | None) -> Rejected | Throttled | Unavailable:
        words = f"Alibaba Cloud answered {status}, {code}"
        if code in _THROTTLED or code.startswith("Throttling") or status == 429:
            return Throttled(
                words, kind="rate_limit", provider=self.name, status=status, code=code, retry_after_s=wait_s
            )
        if code in _LATER or status >= 500:
            return Unavailable(words, kind="server", provider=self.name, status=status, code=code)
        kind = "auth" if code in _AUTH else "quota" if code in _QUOTA else "invalid_request"
        return Rejected(words, kind=kind, provider=self.name, status=status, code=code)

    def _signed(self, action: str, query: Mapping[str, str], *, now: datetime, nonce: str) -> dict[str, str]:
        headers = {
            "host": urlsplit(self._base).netloc,
            "x-acs-action": action,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": nonce,
            "x-acs-version": VERSION,
        }
        authorization = authorize("POST", "/", query, headers, key=self._key, secret=self._secret)
        return {**headers, "Authorization": authorization}


def authorize(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, key: str, secret: str
) -> str:
    """The Authorization header of ACS3-HMAC-SHA256; `headers` are those that are signed, in lower case."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    listed = ";".join(names)
    request = "\n".join([method, path, canonical(query), lines, listed, headers["x-acs-content-sha256"]])
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={listed},Signature={signature}"


def canonical(query: Mapping[str, str]) -> str:
    """Sorted, and quoted as RFC 3986 says: a space is %20."""
    return "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))


def national(phone: str) -> str:
    """Numbers of the mainland without their prefix, all others without the plus sign."""
    digits = phone.strip().lstrip("+").replace(" ", "").replace("-", "")
    return digits[2:] if digits.startswith("86") and len(digits) == 13 else digits
