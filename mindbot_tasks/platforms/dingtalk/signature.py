"""The signature of DingTalk's robot callbacks, pure.

sign = base64(HMAC-SHA256(key = app secret, message = timestamp + "\\n" + app secret)), timestamp in ms. DingTalk docs,
2026-11-20. It covers the timestamp only, not the body: whoever saw one pair can attach any body to it while the window
lasts. Hence HTTPS only, dedup on msgId, and no trust in the body beyond the right to chat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from mindbot_tasks.core.errors import SignatureInvalid

_TIMESTAMP = re.compile(r"[0-9]{1,16}")


def sign(timestamp: str, secret: str) -> str:
    """What DingTalk puts into the `sign` header."""
    mac = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def verify(headers: Mapping[str, str], secret: str, *, now_ms: int, tolerance_s: int) -> None:
    """Return if these headers (lower-case names) were signed with the secret lately. Raises SignatureInvalid."""
    timestamp = headers.get("timestamp", "").strip()
    given = headers.get("sign", "").strip()
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureInvalid("the timestamp header is missing or malformed")
    if abs(now_ms - int(timestamp)) > tolerance_s * 1000:
        raise SignatureInvalid("the timestamp header is too far from now")
    if not given.isascii() or not hmac.compare_digest(given.encode(), sign(timestamp, secret).encode()):
        raise SignatureInvalid("the sign header does not fit")
