"""The envelope, the XML and the API client that the platforms of WeCom share."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto.base import WeChatCipher

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, SettingsError, SignatureInvalid, Throttled, Unavailable
from mindbot_tasks.core.http import Http
from mindbot_tasks.platforms.weixin import Client, Envelope
from mindbot_tasks.platforms.weixin.client import file_name
from mindbot_tasks.platforms.weixin.envelope import encrypted_in
from mindbot_tasks.platforms.weixin.xml import read_fields
from tests.platforms import weixin_vectors as vectors
from tests.platforms.far_side import FarSide, Say
from tests.platforms.test_dingtalk import PlainTokens


def envelope(**values: Any) -> Envelope:
    usual = {"token": vectors.TOKEN, "encoding_aes_key": vectors.AES_KEY, "receiver_id": vectors.CORPID}
    return Envelope(**{**usual, "tolerance_s": 900, **values})


def sealed_raw(plain: bytes) -> str:
    return base64.b64encode(WeChatCipher(base64.b64decode(vectors.AES_KEY + "=")).encrypt(plain)).decode()


# the envelope


def test_the_published_sample_opens() -> None:
    published = envelope(**vectors.PUBLISHED)
    published.verify(vectors.PUBLISHED_QUERY, vectors.PUBLISHED_ECHO, now_ms=1_409_659_589_000)
    assert published.open(vectors.PUBLISHED_ECHO) == b"1616140317555161061"


@pytest.mark.parametrize(
    ("plain", "sealed", "signature", "receiver_id"),
    [
        (vectors.ECHO, vectors.ECHO_SEALED, vectors.ECHO_SIGNATURE, vectors.CORPID),
        (vectors.MESSAGE, vectors.MESSAGE_SEALED, vectors.MESSAGE_SIGNATURE, vectors.CORPID),
        (vectors.BOT_MESSAGE, vectors.BOT_SEALED, vectors.BOT_SIGNATURE, ""),
    ],
)
def test_our_vectors_open_and_seal(plain: str, sealed: str, signature: str, receiver_id: str) -> None:
    ours = envelope(receiver_id=receiver_id)
    ours.verify({**vectors.QUERY, "msg_signature": signature}, sealed, now_ms=vectors.NOW_MS)
    assert ours.open(sealed).decode() == plain
    assert ours.seal(plain.encode(), random=vectors.RANDOM) == sealed


@given(st.binary(max_size=200))
def test_what_is_sealed_opens(message: bytes) -> None:
    assert envelope().open(envelope().seal(message)) == message


@given(st.text(max_size=100) | st.binary(max_size=160).map(lambda raw: base64.b64encode(raw).decode()))
def test_anything_else_is_payload_or_signature_invalid(sealed: str) -> None:
    with pytest.raises((PayloadInvalid, SignatureInvalid)):
        envelope().open(sealed)


@given(st.binary(min_size=1, max_size=6).map(lambda blocks: blocks.ljust(6, b"\x07")), st.integers(0, 255))
def test_any_plaintext_inside_is_opened_or_refused(start: bytes, padding: int) -> None:
    try:
        envelope().open(sealed_raw((start * 32)[:63] + bytes([padding])))
    except (PayloadInvalid, SignatureInvalid):
        return


@pytest.mark.parametrize("padding", [0, 33, 255])
def test_padding_out_of_range_is_refused(padding: int) -> None:
    content = vectors.RANDOM + (2).to_bytes(4, "big") + b"hi" + vectors.CORPID.encode()
    with pytest.raises(PayloadInvalid):
        envelope().open(sealed_raw(content.ljust(63, b"\x1a") + bytes([padding])))


@pytest.mark.parametrize("length", [3, 19, 2**31, 2**32 - 1])
def test_a_length_that_reaches_out_is_refused(length: int) -> None:
    content = vectors.RANDOM + length.to_bytes(4, "big") + b"hi" + vectors.CORPID.encode()
    with pytest.raises((PayloadInvalid, SignatureInvalid)):
        envelope().open(sealed_raw(content + bytes([64 - len(content)]) * (64 - len(content))))


def test_an_envelope_for_somebody_else_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        envelope().open(envelope(receiver_id="wwsomebodyelse01").seal(b"hi"))


@pytest.mark.parametrize(
    ("changes", "late_s"),
    [
        ({"msg_signature": vectors.ECHO_SIGNATURE[:-1] + "e"}, 0),
        ({"msg_signature": "ä" * 40}, 0),
        ({"msg_signature": ""}, 0),
        ({"nonce": "nonce43"}, 0),
        ({"timestamp": "1700000001"}, 0),
        ({"timestamp": "yesterday"}, 0),
        ({}, 901),
        ({}, -901),
    ],
)
def test_a_signature_that_does_not_fit_or_is_old_is_refused(changes: dict[str, str], late_s: int) -> None:
    query = {**vectors.QUERY, "msg_signature": vectors.ECHO_SIGNATURE, **changes}
    with pytest.raises(SignatureInvalid):
        envelope().verify(query, vectors.ECHO_SEALED, now_ms=vectors.NOW_MS + late_s * 1000)


def test_ten_minutes_of_clock_difference_do_not_matter() -> None:
    query = {**vectors.QUERY, "msg_signature": vectors.ECHO_SIGNATURE}
    envelope().verify(query, vectors.ECHO_SEALED, now_ms=vectors.NOW_MS + 600_000)


@pytest.mark.parametrize("key", ["", "short", "x" * 44, "!" * 43])
def test_an_aes_key_that_is_none_is_a_matter_of_settings(key: str) -> None:
    with pytest.raises(SettingsError):
        envelope(encoding_aes_key=key)


# XML


def test_fields_are_texts_objects_and_lists() -> None:
    found = read_fields(
        b"<xml><A><![CDATA[1<2]]></A><B/><C><D>x</D><D>y</D></C><E>\xe4\xbd\xa0</E><F attr='z'>f</F></xml>"
    )
    assert found == {"A": "1<2", "B": "", "C": {"D": ["x", "y"]}, "E": "你", "F": "f"}


BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<xml>",
        b"<xml></xml><xml/>",
        BOMB,
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><xml/>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>',
        b"<xml><Encrypt>&undefined;</Encrypt></xml>",
        b'<?xml version="1.0" encoding="gb18030"?><xml/>',
        b'<?xml version="1.0" encoding="nonsense"?><xml/>',
        b"<a>" * 100_000,
        b"<a>" * 20 + b"</a>" * 20,
        b"<xml>" + b"<a/>" * 50_000 + b"</xml>",
        b"<xml>" + b"x" * 1_000_001 + b"</xml>",
        b"\xff\xfe<\x00",
    ],
)
def test_hostile_xml_is_payload_invalid(body: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        read_fields(body)


@given(st.binary() | st.text().map(str.encode) | st.text("<>/ax&;![]CDAT\"'= ", max_size=60).map(str.encode))
def test_any_bytes_are_fields_or_payload_invalid(body: bytes) -> None:
    try:
        assert isinstance(read_fields(body), dict)
    except PayloadInvalid:
        return


@pytest.mark.parametrize(
    "body", [b"<xml/>", b"<xml><Encrypt/></xml>", b"<xml><Encrypt><A/></Encrypt><Encrypt>x</Encrypt></xml>"]
)
def test_a_body_without_one_envelope_is_payload_invalid(body: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        encrypted_in(body)


# the API

TOKEN_ANSWER = Say(200, {"errcode": 0, "errmsg": "ok", "access_token": "T1", "expires_in": 7200})


def client(server: FarSide, **values: Any) -> Client:
    usual = {"corpid": vectors.CORPID, "secret": "s", "api_base": server.url, "http": Http(), "tokens": PlainTokens()}
    return Client("wecom", **{**usual, **values})


def paths(server: FarSide) -> list[str]:
    return [asked.path.removeprefix("/cgi-bin/") for asked in server.asked]


def test_a_call_carries_the_token(server: FarSide) -> None:
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": 0, "errmsg": "ok", "msgid": "m"})])
    assert client(server).post("message/send", {"a": 1}, Deadline(60))["msgid"] == "m"
    assert paths(server) == [f"gettoken?corpid={vectors.CORPID}&corpsecret=s", "message/send?access_token=T1"]


@pytest.mark.parametrize("code", [40001, 40014, 42001, "42001"])
def test_a_stale_token_is_replaced_once(server: FarSide, code: object) -> None:
    fresh = Say(200, {"errcode": 0, "access_token": "T2", "expires_in": 7200})
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": code}), fresh, Say(200, {"errcode": 0})])
    client(server).post("message/send", {}, Deadline(60))
    assert [path.rpartition("=")[2] for path in paths(server)] == ["s", "T1", "s", "T2"]


def test_a_token_that_stays_stale_ends_it(server: FarSide) -> None:
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": 42001})] * 2)
    with pytest.raises(Rejected) as raised:
        client(server).post("message/send", {}, Deadline(60))
    assert raised.value.kind == "auth"
    assert len(server.asked) == 4


@pytest.mark.parametrize("code", [40001, 40013])
def test_wrong_credentials_are_tried_once(server: FarSide, code: int) -> None:
    server.script.append(Say(200, {"errcode": code, "errmsg": "invalid credential"}))
    with pytest.raises(Rejected) as raised:
        client(server).post("message/send", {}, Deadline(60))
    assert (raised.value.kind, raised.value.code) == ("auth", str(code))
    assert len(server.asked) == 1


def test_our_own_limit_keeps_the_far_side_from_locking_us_out(server: FarSide) -> None:
    with pytest.raises(Throttled) as raised:
        client(server, take=lambda name, rate: 12.0).post("message/send", {}, Deadline(60))
    assert (raised.value.code, raised.value.retry_after_s) == ("our_limit", 12.0)
    assert not server.asked


@pytest.mark.parametrize(
    ("code", "error", "kind"),
    [
        (-1, Unavailable, "server"),
        (45009, Throttled, "rate_limit"),
        (45033, Throttled, "rate_limit"),
        (60020, Rejected, "auth"),
        (81013, Rejected, "not_found"),
        (95018, Rejected, "expired"),
        (99999, Rejected, "invalid_request"),
        ([], Rejected, "invalid_request"),
    ],
)
def test_errcodes_are_understood(server: FarSide, code: object, error: type[Exception], kind: str) -> None:
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": code, "errmsg": "some words, hint: [1]"})])
    with pytest.raises(error) as raised:
        client(server).post("message/send", {}, Deadline(60))
    assert raised.value.kind == kind  # type: ignore[attr-defined]
    assert "hint" not in str(raised.value)


def test_a_code_can_be_fine(server: FarSide) -> None:
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": 95033})])
    assert client(server).post("kf/send_msg", {}, Deadline(60), fine=frozenset({"95033"})) == {"errcode": 95033}


def test_an_upload_names_the_file_in_plain_utf8(server: FarSide) -> None:
    server.script.extend([TOKEN_ANSWER, Say(200, {"errcode": 0, "media_id": "M1"})])
    media_id = client(server).upload("file", b"\x00\r\n--bytes", '报告"1/2.pdf', "application/pdf", Deadline(60))
    assert media_id == "M1"
    asked = server.asked[1]
    assert asked.path.endswith("media/upload?access_token=T1&type=file")
    assert 'name="media"; filename="报告_1_2.pdf"; filelength=10\r\n'.encode() in asked.body
    assert b"\r\n\r\n\x00\r\n--bytes\r\n--" in asked.body


def test_a_download_is_bytes_with_a_name(server: FarSide) -> None:
    disposition = 'attachment; filename="语音.amr"'.encode().decode("latin-1")
    said = Say(200, b"#!AMR", headers={"Content-Disposition": disposition}, content_type="audio/amr")
    server.script.extend([TOKEN_ANSWER, said])
    with client(server).download("M1", Deadline(60)) as media:
        assert (b"".join(media.chunks), media.name, media.media_type) == (b"#!AMR", "语音.amr", "audio/amr")


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "text/plain"])
def test_a_download_that_is_gone_says_so_in_json(server: FarSide, content_type: str) -> None:
    gone = Say(200, {"errcode": 40007, "errmsg": "invalid media_id"}, content_type=content_type)
    server.script.extend([TOKEN_ANSWER, gone])
    with pytest.raises(Rejected) as raised, client(server).download("M1", Deadline(60)):
        raise AssertionError("there is nothing to read")
    assert (raised.value.kind, raised.value.code) == ("not_found", "40007")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("attachment; filename=a.jpg", "a.jpg"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename=x; filename*=UTF-8''%E4%BD%A0.txt", "你.txt"),
    ],
)
def test_file_names_are_names_only(header: str, name: str) -> None:
    assert file_name(header) == name
