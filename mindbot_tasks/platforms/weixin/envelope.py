"""The envelope of callbacks: who signed it, is it fresh, is it for us, and what is inside; pure.

msg_signature = sha1 of the sorted, joined [Token, timestamp, nonce, encrypted]; the content is AES-256-CBC with
IV = key[:16] and padding to 32 bytes around 16 random bytes, a length, the message and the receiver's id. WeCom docs,
2026-11-20. Cipher and signature are wechatpy's; the checks are not: its own neither look at the padding, the length and
the age nor compare in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any

from wechatpy.crypto.base import WeChatCipher
from wechatpy.crypto.pkcs7 import PKCS7Encoder
from wechatpy.utils import WeChatSigner

from mindbot_tasks.core.errors import PayloadInvalid, SettingsError, SignatureInvalid
from mindbot_tasks.platforms.weixin.xml import read_fields

_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_BLOCK = 32
_RANDOM = 16


class Envelope:
    """The callback settings of one app. Raises SettingsError for an EncodingAESKey that is none."""

    def __init__(self, *, token: str, encoding_aes_key: str, receiver_id: str, tolerance_s: int) -> None:
        if not _AES_KEY.fullmatch(encoding_aes_key):
            raise SettingsError("encoding_aes_key must have 43 letters and digits, as the admin console shows it")
        # lenient: the last character carries two bits that mean nothing
        self._key = base64.b64decode(encoding_aes_key + "=")
        self._token = token
        self._receiver_id = receiver_id
        self._tolerance_s = tolerance_s

    def verify(self, query: Mapping[str, str], encrypted: str, *, now_ms: int) -> None:
        """Return if `encrypted` was signed with our token lately. Raises SignatureInvalid."""
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureInvalid("the timestamp is missing or malformed")
        given = query.get("msg_signature", "")
        expected = self.sign(timestamp, nonce, encrypted)
        if not given.isascii() or not hmac.compare_digest(given.encode(), expected.encode()):
            raise SignatureInvalid("msg_signature does not fit")
        if abs(now_ms - int(timestamp) * 1000) > self._tolerance_s * 1000:
            raise SignatureInvalid("the timestamp is too far from now")

    def open(self, encrypted: str) -> bytes:
        """What is inside; look at the signature first. Raises SignatureInvalid if it is not for us, PayloadInvalid."""
        plain = self._decrypt(encrypted)
        padding = plain[-1]
        if not 1 <= padding <= _BLOCK or plain[-padding:] != bytes([padding]) * padding:
            raise PayloadInvalid("the envelope cannot be opened")
        content = plain[_RANDOM:-padding]
        length = int.from_bytes(content[:4], "big")
        if len(content) < 4 or length > len(content) - 4:
            raise PayloadInvalid("the envelope cannot be opened")
        receiver_id = content[4 + length :]
        if not hmac.compare_digest(receiver_id, self._receiver_id.encode()):
            raise SignatureInvalid("the envelope is addressed to somebody else")
        return content[4 : 4 + length]

    def seal(self, message: bytes, *, random: bytes | None = None) -> str:
        """The opposite of `open`."""
        content = (random or secrets.token_bytes(_RANDOM)) + len(message).to_bytes(4, "big") + message
        sealed: bytes = WeChatCipher(self._key).encrypt(PKCS7Encoder.encode(content + self._receiver_id.encode()))
        return base64.b64encode(sealed).decode()

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        """What WeCom puts into `msg_signature`."""
        signer = WeChatSigner()
        signer.add_data(*(part.encode("utf-8", "replace") for part in (self._token, timestamp, nonce, encrypted)))
        return str(signer.signature)

    def _decrypt(self, encrypted: str) -> bytes:
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise PayloadInvalid("the envelope cannot be opened") from None
        if len(sealed) % _BLOCK or len(sealed) < _BLOCK:
            raise PayloadInvalid("the envelope cannot be opened")
        plain: bytes = WeChatCipher(self._key).decrypt(sealed)
        return plain


def encrypted_in(body: bytes) -> str:
    """The encrypted part of a posted envelope. Raises PayloadInvalid."""
    encrypted: Any = read_fields(body).get("Encrypt")
    if not isinstance(encrypted, str) or not encrypted.strip():
        raise PayloadInvalid("the body has no Encrypt element")
    return encrypted.strip()
