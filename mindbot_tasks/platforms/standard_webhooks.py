"""Standard Webhooks signatures, pure: who signs and who checks share this module.

signature = "v1," + base64(HMAC-SHA256(key, "{id}.{timestamp}.{body}")), key = the base64 part after "whsec_", timestamp
in seconds. standardwebhooks.com, 2026-11-20.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from mindbot_tasks.core.errors import SettingsError, SignatureInvalid

TOLERANCE_S = 300
_ID = re.compile(r"[!-~]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_PREFIX = "whsec_"  # of a secret as it is written down
_KEY_BYTES = range(24, 65)


def key_of(secret: str) -> bytes:
    """The signing key inside a "whsec_..." secret. Raises SettingsError; the message does not repeat the secret."""
    if not secret.startswith(_PREFIX):
        raise SettingsError('a webhook secret starts with "whsec_"')
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError('what follows "whsec_" in a webhook secret is base64') from None
    if len(key) not in _KEY_BYTES:
        raise SettingsError("a webhook secret holds 24 to 64 bytes")
    return key


def secret_of(key: bytes) -> str:
    """The way a key is written down; the opposite of `key_of`."""
    return _PREFIX + base64.b64encode(key).decode()


def sign(secrets: Iterable[str], webhook_id: str, body: bytes, *, now_s: int) -> dict[str, str]:
    """The three headers for a call; one signature for each secret, so that the receiver may know either."""
    signatures = [_signature(key_of(secret), webhook_id, str(now_s), body) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(signatures),
    }


def verify(
    secrets: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """The id of a call that one of the secrets signed lately. Header names are lower case. Raises SignatureInvalid."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    # a dot inside the id would let the parts of the signed text shift
    if not _ID.fullmatch(webhook_id) or "." in webhook_id:
        raise SignatureInvalid("webhook-id is missing or malformed")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureInvalid("webhook-timestamp is missing or malformed")
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise SignatureInvalid("webhook-timestamp is too far from now")
    given = [entry.encode() for entry in headers.get("webhook-signature", "").split() if entry.isascii()]
    expected = [_signature(key_of(secret), webhook_id, timestamp, body).encode() for secret in secrets]
    # every pair is compared, so the time taken does not tell which secret was nearly met
    fits = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(fits):
        raise SignatureInvalid("no webhook-signature fits")
    return webhook_id


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    mac = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()
