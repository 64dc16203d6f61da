"""WeCom Customer Service: what the items of a page become, of every type."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.model.message import Message, Part
from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.platforms.wecomcs.payload import read_items
from tests.platforms import weixin_vectors as vectors
from tests.platforms.contract import JSON, TOTAL

NOW_MS = vectors.NOW_MS
ADDRESS = {"open_kfid": "wk1", "external_userid": "wm1", "msgid": "kf1", "sent_at_ms": NOW_MS}


def item(msgtype: str, content: Any, **other: Any) -> dict[str, Any]:
    return {
        "msgid": "kf1",
        "open_kfid": "wk1",
        "external_userid": "wm1",
        "send_time": 1_700_000_000,
        "origin": 3,
        "msgtype": msgtype,
        msgtype: content,
        **other,
    }


@pytest.mark.parametrize(
    ("msgtype", "content", "part"),
    [
        ("text", {"content": " 你好 "}, Part("text", "你好")),
        ("text", {"content": "yes", "menu_id": "101"}, Part("text", "yes", {"menu_id": "101"})),
        ("image", {"media_id": "m1"}, Part("image", data={"media_id": "m1"})),
        ("voice", {"media_id": "m1"}, Part("voice", data={"media_id": "m1"})),
        ("video", {"media_id": "m1"}, Part("video", data={"media_id": "m1"})),
        ("file", {"media_id": "m1"}, Part("file", data={"media_id": "m1"})),
        ("location", {"latitude": 30.5, "longitude": "114.1", "name": "Tower", "address": "Road 1"},
         Part("location", "Tower\nRoad 1",
              {"name": "Tower", "address": "Road 1", "latitude": 30.5, "longitude": 114.1})),
        ("link", {"title": "T", "desc": "D", "url": "https://a.b", "pic_url": "https://a.c"},
         Part("link", "T\nD\nhttps://a.b", {"title": "T", "desc": "D", "url": "https://a.b", "pic_url": "https://a.c"})),
        ("business_card", {"userid": "u1"}, Part("card", data={"type": "business_card", "userid": "u1"})),
        ("miniprogram", {"title": "Shop", "appid": "wx1", "pagepath": "p", "thumb_media_id": "m"},
         Part("card", "Shop", {"type": "miniprogram", "appid": "wx1", "pagepath": "p", "title": "Shop"})),
        *[(kind, {}, Part("unknown", data={"type": kind}))
          for kind in ("merged_msg", "channels", "channels_shop_product", "channels_shop_order", "meeting",
                       "schedule", "note", "msgmenu", "something_new")],
    ],
)  # fmt: skip
def test_every_type_becomes_a_part(msgtype: str, content: Any, part: Part) -> None:
    (message,) = read_items([item(msgtype, content)], bot="default", feed="wk1")
    assert isinstance(message, Message)
    assert message.parts == (part,)
    assert message.external_id == "kf1"
    assert message.conversation_id == "wk1:wm1"
    assert message.sent_at_ms == NOW_MS
    assert message.address == ADDRESS


@pytest.mark.parametrize(
    ("event", "with_human"),
    [
        ({"event_type": "enter_session", "scene": "1", "welcome_code": "c"}, None),
        ({"event_type": "msg_send_fail", "fail_msgid": "mb_1", "fail_type": 6}, None),
        ({"event_type": "servicer_status_change", "servicer_userid": "a", "status": 1}, None),
        ({"event_type": "session_status_change", "change_type": 1, "new_servicer_userid": "a"}, True),
        ({"event_type": "session_status_change", "change_type": 2}, True),
        ({"event_type": "session_status_change", "change_type": 3}, False),
        ({"event_type": "session_status_change", "change_type": 4}, True),
        ({"event_type": "user_recall_msg", "recall_msgid": "kf0"}, None),
        ({"event_type": "reject_customer_msg_switch_change", "reject_switch": 1}, None),
    ],
)
def test_every_event_is_an_occurrence(event: dict[str, Any], with_human: bool | None) -> None:
    raw = {"msgid": "e1", "send_time": 1_700_000_000, "origin": 4, "msgtype": "event",
           "event": {**event, "open_kfid": "wk1", "external_userid": "wm1"}}  # fmt: skip
    (occurrence,) = read_items([raw], bot="default", feed="wk1")
    assert isinstance(occurrence, Occurrence)
    assert occurrence.kind == event.pop("event_type")
    assert occurrence.conversation_id == "wk1:wm1"
    assert occurrence.data == {**event, "open_kfid": "wk1", "external_userid": "wm1"}
    assert occurrence.with_human is with_human


def test_an_agent_who_speaks_has_the_conversation() -> None:
    (said,) = read_items([item("text", {"content": "private"}, origin=5, servicer_userid="a")], bot="b", feed="wk1")
    assert isinstance(said, Occurrence)
    assert said.with_human is True
    assert "private" not in str(said.data)


def test_an_item_that_cannot_be_read_does_not_stand_in_the_way() -> None:
    items = [None, [], {}, {"msgtype": "text"}, item("text", "no object"), item("text", {"content": "fine"})]
    texts = [one.text for one in read_items(items, bot="b", feed="wk1") if isinstance(one, Message)]
    assert texts == ["", "fine"]


@TOTAL
@given(raw=JSON, msgtype=st.sampled_from(["text", "event", "image", "location"]), content=JSON)
def test_any_page_is_items(raw: Any, msgtype: str, content: Any) -> None:
    ends = {"msgid": "last", "external_userid": "wm1", "origin": 3, "msgtype": "text", "text": {"content": "x"}}
    found = read_items([raw, item(msgtype, content), content, ends], bot="b", feed="wk1")
    assert isinstance(found[-1], Message)
    assert found[-1].external_id == "last"
    assert all(0 < len(one.external_id) <= 255 for one in found)
