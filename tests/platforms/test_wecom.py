"""WeCom: the contract, and what its callbacks mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.work.crypto import PrpCrypto

from mindbot_tasks.core.errors import PayloadInvalid, SettingsError, SignatureInvalid
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.base import BringsNews, Examined, HoldsMedia, Inbound, Occurrence
from mindbot_tasks.platforms.wecom import WeCom
from tests.platforms import weixin_vectors as vectors
from tests.platforms.contract import TOTAL, PlatformContract
from tests.platforms.far_side import FarSide, unused_port
from tests.platforms.wecom_calls import MESSAGE, NOW_MS, VENDOR, call, inbound, wecom


class TestContract(PlatformContract):
    max_chars = 2048
    idempotent = True
    more_fields = ("PicUrl", "MediaId", "Location_X", "Title", "Event", "EventKey", "Label", "SelectedItems")

    @pytest.fixture
    def platform(self, server: FarSide) -> WeCom:
        return wecom(server.url)

    @pytest.fixture
    def unreachable(self) -> WeCom:
        return wecom(f"http://127.0.0.1:{unused_port()}")

    @pytest.fixture
    def signed_call(self) -> Inbound:
        return call()

    @pytest.fixture
    def stale_call(self) -> Inbound:
        return call(now_s=NOW_MS // 1000 - 1000)

    @pytest.fixture
    def outgoing(self) -> Outgoing:
        return Outgoing(
            1, "wecom", "default", "zhangsan", "one_to_one", "zhangsan", {"user_id": "zhangsan", "agent_id": 1_000_002},
            Part("text", "hi"), 0, 1, "mindbot-1-0",
        )  # fmt: skip

    def fields_of(self, call: Inbound) -> dict[str, Any]:
        return dict(MESSAGE)

    def with_fields(self, signed: Inbound, fields: dict[str, Any]) -> Inbound:
        return call(fields)


def parsed(**changes: Any) -> Message:
    (message,) = wecom().parse(call(**changes))
    return message


def occurred(**changes: Any) -> list[Occurrence]:
    event = {"MsgType": "event", "MsgId": None, "Content": None, **changes}
    assert wecom().parse(call(**event)) == []
    return list(wecom().news(call(**event)).occurrences)


def test_the_vector_is_a_message() -> None:
    vector = dataclasses.replace(
        inbound(vectors.MESSAGE_SEALED), query={**vectors.QUERY, "msg_signature": vectors.MESSAGE_SIGNATURE}
    )
    platform = wecom()
    platform.verify(vector)
    (message,) = platform.parse(vector)
    assert message == Message(
        platform="wecom",
        bot="default",
        external_id="7300000000000000001",
        conversation_id="zhangsan",
        conversation_kind="one_to_one",
        sender_id="zhangsan",
        sender_name="zhangsan",
        parts=(Part("text", "你好"),),
        address={"user_id": "zhangsan", "agent_id": 1_000_002},
        sent_at_ms=1_700_000_000_000,
    )
    assert platform.acknowledge(vector, [1]).body == b""


def test_the_address_is_verified_by_an_echo() -> None:
    query = {"timestamp": "1700000000", "nonce": "nonce42", "msg_signature": vectors.ECHO_SIGNATURE}
    platform = wecom()
    for echo in (vectors.ECHO_SEALED, vectors.ECHO_SEALED.replace("+", " ")):
        check = Inbound("GET", {}, {**query, "echostr": echo}, b"", NOW_MS)
        platform.verify(check)
        assert platform.parse(check) == []
        assert platform.news(check).occurrences == ()
        answer = platform.acknowledge(check, [])
        assert (answer.body, answer.content_type) == (b"4242424242", "text/plain")


def test_a_forged_echo_is_refused() -> None:
    check = Inbound("GET", {}, {**vectors.QUERY, "msg_signature": "0" * 40, "echostr": "x"}, b"", NOW_MS)
    with pytest.raises(SignatureInvalid):
        wecom().verify(check)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"Content": " two\nlines "}, Part("text", "two\nlines")),
        (
            {"MsgType": "image", "PicUrl": "https://p/1", "MediaId": "M1"},
            Part("image", data={"media_id": "M1", "url": "https://p/1"}),
        ),
        (
            {"MsgType": "voice", "MediaId": "M2", "Format": "amr"},
            Part("voice", data={"media_id": "M2", "format": "amr"}),
        ),
        (
            {"MsgType": "video", "MediaId": "M3", "ThumbMediaId": "M4"},
            Part("video", data={"media_id": "M3", "thumb_media_id": "M4"}),
        ),
        (
            {"MsgType": "file", "MediaId": "M5", "FileName": "a.pdf"},
            Part("file", data={"media_id": "M5", "name": "a.pdf"}),
        ),
        (
            {"MsgType": "location", "Location_X": "23.5", "Location_Y": "113.25", "Scale": 20, "Label": " Tower "},
            Part("location", "Tower", {"latitude": 23.5, "longitude": 113.25, "scale": "20"}),
        ),
        ({"MsgType": "location", "Location_X": "nan", "Label": "x"}, Part("location", "x")),
        (
            {"MsgType": "link", "Title": "T", "Description": "D", "Url": "https://l", "PicUrl": "https://p"},
            Part("link", "T\nD", {"url": "https://l", "picture_url": "https://p"}),
        ),
        ({"MsgType": "hologram"}, Part("unknown", data={"type": "hologram"})),
    ],
)  # fmt: skip
def test_every_type_of_message(changes: dict[str, Any], part: Part) -> None:
    assert parsed(**changes).parts == (part,)


def test_names_of_elements_may_hold_anything() -> None:
    assert parsed(Content="<b>&amp; ]]> 你好").text == "<b>&amp; ]]> 你好"


@pytest.mark.parametrize("changes", [{"MsgId": None}, {"FromUserName": " "}, {"MsgType": None}, {"MsgId": "1" * 256}])
def test_a_message_without_what_names_it_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadInvalid):
        wecom().parse(call(**changes))


@pytest.mark.parametrize("event", ["subscribe", "unsubscribe", "enter_agent", "view"])
def test_events_are_occurrences(event: str) -> None:
    (found,) = occurred(Event=event, EventKey="")
    assert (found.kind, found.conversation_id, found.happened_at_ms) == (event, "zhangsan", 1_700_000_000_000)
    assert found.external_id == f"{event}:1700000000:zhangsan::"


def test_a_pressed_button_of_a_card_says_which_and_what_was_chosen() -> None:
    chosen = [
        {"QuestionKey": "q1", "OptionIds": {"OptionId": ["a", "b"]}},
        {"QuestionKey": "q2", "OptionIds": {"OptionId": "c"}},
    ]
    (found,) = occurred(
        Event="template_card_event", EventKey="yes", TaskId="t1", CardType="vote_interaction", ResponseCode="R",
        SelectedItems={"SelectedItem": chosen},
    )  # fmt: skip
    assert found.data == {
        "event_key": "yes",
        "task_id": "t1",
        "card_type": "vote_interaction",
        "response_code": "R",
        "selected": {"q1": ["a", "b"], "q2": ["c"]},
        "agent_id": 1_000_002,
    }


def test_two_clicks_in_one_second_on_different_keys_are_two() -> None:
    (one,), (other,) = occurred(Event="click", EventKey="a"), occurred(Event="click", EventKey="b")
    assert one.external_id != other.external_id
    (long,) = occurred(Event="click", EventKey="k" * 1000)
    assert len(long.external_id) <= 255


@pytest.mark.parametrize("event", ["scancode_push", "batch_job_result", "kf_msg_or_event", "", "brand_new"])
def test_other_events_are_taken_quietly(event: str) -> None:
    assert occurred(Event=event, FromUserName=None, ScanCodeInfo={"ScanType": "qrcode"}) == []


@TOTAL
@given(
    fields=st.dictionaries(
        st.sampled_from(["MsgType", "Event", "EventKey", "FromUserName", "CreateTime", "SelectedItems", "Latitude"]),
        st.text(max_size=300)
        | st.dictionaries(st.sampled_from(["SelectedItem", "QuestionKey", "OptionIds"]), st.text()),
    )
)
def test_any_event_is_an_occurrence_or_payload_invalid(fields: dict[str, Any]) -> None:
    try:
        found = wecom().news(call({"MsgType": "event", "Event": "click", **fields})).occurrences
    except PayloadInvalid:
        return
    assert all(0 < len(one.external_id) <= 255 for one in found)


@pytest.mark.parametrize(
    "plain",
    ["", "no xml", "<xml>", "<!DOCTYPE x [<!ENTITY a 'b'>]><xml><MsgType>&a;</MsgType></xml>"],
)
def test_what_is_sealed_and_no_message_is_refused(plain: str) -> None:
    with pytest.raises(PayloadInvalid):
        wecom().parse(call(plain=plain))


def test_a_message_for_somebody_else_is_refused() -> None:
    sealed = PrpCrypto(VENDOR.key).encrypt("<xml/>", "wwsomebodyelse01").decode()
    with pytest.raises(SignatureInvalid):
        wecom().parse(inbound(sealed))


def test_it_can_do_what_it_says() -> None:
    platform = wecom()
    assert isinstance(platform, BringsNews)
    assert isinstance(platform, HoldsMedia)
    assert isinstance(platform, Examined)
    assert not platform.capabilities.files
    assert wecom(files={1: (b"", "", "")}).capabilities.files


def test_a_key_that_is_none_is_found_at_once() -> None:
    with pytest.raises(SettingsError):
        wecom(encoding_aes_key="your_encryption_key")
