"""Standard Webhooks signatures: who signs and who checks agree, with the vector of the standard's own library."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.errors import SettingsError, SignatureInvalid
from mindbot_tasks.platforms import standard_webhooks

SECRET = "whsec_bWluZGJvdC13ZWJob29rLXNlY3JldC0wMTIzNDU2Nzg5"
OTHER_SECRET = standard_webhooks.secret_of(b"another secret of thirty-two byt")
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
NOW_S = 1_700_000_000
BODY = b'{"type":"message.created","data":{"text":"hi"}}'
HEADERS = {
    "webhook-id": ID,
    "webhook-timestamp": str(NOW_S),
    "webhook-signature": "v1,lI2q9x4nqLKeopZ/ixmxsHinN//GJYe1OdslzEpDWU0=",
}


def test_signs_like_the_standard() -> None:
    assert standard_webhooks.sign([SECRET], ID, BODY, now_s=NOW_S) == HEADERS


def test_accepts_what_the_standard_signed() -> None:
    assert standard_webhooks.verify([SECRET], HEADERS, BODY, now_s=NOW_S + 299) == ID


def test_either_secret_is_good_while_one_replaces_the_other() -> None:
    assert standard_webhooks.verify([OTHER_SECRET, SECRET], HEADERS, BODY, now_s=NOW_S) == ID
    both = standard_webhooks.sign([OTHER_SECRET, SECRET], ID, BODY, now_s=NOW_S)
    assert standard_webhooks.verify([SECRET], both, BODY, now_s=NOW_S) == ID


def test_one_good_signature_in_a_list_is_enough() -> None:
    headers = {**HEADERS, "webhook-signature": "v1a,xyz v1,AAAA  ü " + HEADERS["webhook-signature"]}
    assert standard_webhooks.verify([SECRET], headers, BODY, now_s=NOW_S) == ID


@pytest.mark.parametrize(
    ("headers", "body", "now_s"),
    [
        (HEADERS, BODY + b" ", NOW_S),
        (HEADERS, BODY, NOW_S + 301),
        (HEADERS, BODY, NOW_S - 301),
        ({**HEADERS, "webhook-id": "msg_x"}, BODY, NOW_S),
        ({**HEADERS, "webhook-timestamp": str(NOW_S + 1)}, BODY, NOW_S),
        ({**HEADERS, "webhook-timestamp": "١٧٠٠٠٠٠٠٠٠"}, BODY, NOW_S),
        ({**HEADERS, "webhook-timestamp": "1e9"}, BODY, NOW_S),
        ({**HEADERS, "webhook-signature": HEADERS["webhook-signature"].removeprefix("v1,")}, BODY, NOW_S),
        ({**HEADERS, "webhook-signature": ""}, BODY, NOW_S),
        ({}, BODY, NOW_S),
    ],
)
def test_refuses_whatever_was_changed(headers: dict[str, str], body: bytes, now_s: int) -> None:
    with pytest.raises(SignatureInvalid):
        standard_webhooks.verify([SECRET], headers, body, now_s=now_s)


def test_an_id_with_a_dot_is_refused_though_it_is_signed() -> None:
    headers = standard_webhooks.sign([SECRET], "a.1", BODY, now_s=NOW_S)
    with pytest.raises(SignatureInvalid):
        standard_webhooks.verify([SECRET], headers, BODY, now_s=NOW_S)


def test_nothing_is_good_without_a_secret() -> None:
    with pytest.raises(SignatureInvalid):
        standard_webhooks.verify([], HEADERS, BODY, now_s=NOW_S)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_not base64", "whsec_ü", base64.b64encode(bytes(32)).decode(), "whsec_" + "QUJD"],
)
def test_an_unusable_secret_is_a_settings_error_that_does_not_repeat_it(secret: str) -> None:
    with pytest.raises(SettingsError) as raised:
        standard_webhooks.key_of(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(raised.value)


@given(key=st.binary(min_size=24, max_size=64), body=st.binary(), now_s=st.integers(0, 10**11))
def test_what_is_signed_is_good(key: bytes, body: bytes, now_s: int) -> None:
    secret = standard_webhooks.secret_of(key)
    assert standard_webhooks.key_of(secret) == key
    headers = standard_webhooks.sign([secret], "some-id", body, now_s=now_s)
    assert standard_webhooks.verify([secret], headers, body, now_s=now_s) == "some-id"
