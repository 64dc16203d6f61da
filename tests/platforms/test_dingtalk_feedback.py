"""Buttons on DingTalk's cards: whose signature, which vote, and what the card is told to show."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from emulators.dingtalk import votes
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, SignatureInvalid
from mindbot_tasks.model.news import Feedback
from mindbot_tasks.platforms.base import BringsNews, Inbound, Registers
from mindbot_tasks.platforms.dingtalk import feedback
from tests.platforms.contract import JSON, TOTAL
from tests.platforms.far_side import FarSide, Say
from tests.platforms.test_dingtalk import NOW_MS, call, robot

SECRET = "mindbot-card-secret"
CARD = f"mindbot.7.{'a' * 32}"
BOT = robot(card_callback_secret=SecretStr(SECRET), card_route_key="mindbot")


def press(action: str = "feedback_up", *, at_ms: int = NOW_MS, card: str = CARD, **options: Any) -> Inbound:
    headers = {name.lower(): value for name, value in votes.headers(SECRET, at_ms=at_ms).items()}
    return Inbound("POST", headers, {}, orjson.dumps(votes.body(card, "user01", action, **options)), NOW_MS)


def answered(inbound: Inbound) -> Any:
    return json.loads(BOT.acknowledge(inbound, []).body)


def test_the_vendors_vector() -> None:
    assert feedback.sign("1700000000000", SECRET) == "syZtQ1fg+6WWo7SmWg7oX/TId5+9g/9baiDeoaFgWAM="


@pytest.mark.parametrize(("action", "vote"), [("feedback_up", "up"), ("feedback_down", "down")])
def test_a_pressed_button_is_a_vote_and_no_message(action: str, vote: Any) -> None:
    inbound = press(action)
    BOT.verify(inbound)
    assert isinstance(BOT, BringsNews)
    assert BOT.parse(inbound) == []
    assert BOT.news(inbound).feedback == [Feedback(CARD, "user01", vote, message_id=7)]
    told = answered(inbound)
    assert told["cardData"] == {"cardParamMap": {"feedback": vote}}
    assert told["cardUpdateOptions"]["updateCardDataByKey"] is True


def test_in_a_group_each_sees_their_own_vote() -> None:
    told = answered(press(group="cidGROUP=="))
    assert told["userPrivateData"] == {"cardParamMap": {"feedback": "up"}}
    assert told["cardData"] == {"cardParamMap": {}}


def test_the_vote_may_stand_in_a_parameter() -> None:
    assert BOT.news(press("any", params={"feedback": "down"})).feedback[0].vote == "down"


def test_other_buttons_and_other_peoples_cards_are_fine() -> None:
    assert BOT.news(press("something else")).feedback == ()
    assert answered(press("something else")) == {}
    assert BOT.news(press(card="somebody else's")).feedback[0].message_id is None


def test_by_stream_the_topic_tells_and_the_connection_is_proof() -> None:
    inbound = Inbound("POST", {"topic": feedback.TOPIC}, {}, press().body, NOW_MS)
    assert BOT.parse(inbound) == []
    assert BOT.news(inbound).feedback[0].vote == "up"
    with pytest.raises(SignatureInvalid):
        BOT.verify(inbound)


def test_a_message_brings_no_news() -> None:
    assert BOT.news(call()).feedback == ()


def test_signatures_are_not_taken_for_each_other() -> None:
    robots = call(votes.body(CARD, "user01", "feedback_up"))
    cards = press()
    with pytest.raises(SignatureInvalid):
        BOT.verify(dataclasses.replace(cards, headers={**robots.headers, feedback.SIGNATURE: robots.headers["sign"]}))
    with pytest.raises(SignatureInvalid):
        BOT.verify(dataclasses.replace(cards, headers={**cards.headers, feedback.SIGNATURE: "x"}))
    with pytest.raises(SignatureInvalid):
        BOT.verify(press(at_ms=NOW_MS - 3_600_001))
    with pytest.raises(SignatureInvalid):
        robot().verify(cards)
    with pytest.raises(PayloadInvalid):
        BOT.parse(robots)


@TOTAL
@given(body=st.binary() | JSON.map(json.dumps).map(str.encode))
def test_any_body_is_a_vote_or_none_or_payload_invalid(body: bytes) -> None:
    try:
        BOT.news(dataclasses.replace(press(), body=body))
    except PayloadInvalid:
        return


@TOTAL
@given(field=st.sampled_from(["outTrackId", "userId", "spaceType", "content"]), value=JSON)
def test_any_value_in_any_field_is_storable_or_payload_invalid(field: str, value: object) -> None:
    body = {**votes.body(CARD, "user01", "feedback_up"), field: value}
    try:
        news = BOT.news(dataclasses.replace(press(), body=json.dumps(body).encode()))
    except PayloadInvalid:
        return
    for vote in news.feedback:
        assert 0 < len(vote.answer_ref) <= 255
        assert 0 < len(vote.user_id) <= 255


def test_registers_where_buttons_are_posted_to(server: FarSide) -> None:
    bot = robot(server.url, card_callback_secret=SecretStr(SECRET), card_route_key="mindbot")
    assert isinstance(bot, Registers)
    server.script.extend([Say(200, {"accessToken": "t", "expireIn": 7200}), Say(200, {"success": True})])
    assert bot.register("https://bot.example/webhooks/dingtalk", Deadline(60)) == "mindbot"
    assert server.asked[1].json == {
        "callbackRouteKey": "mindbot",
        "callbackUrl": "https://bot.example/webhooks/dingtalk",
        "apiSecret": SECRET,
        "forceUpdate": True,
    }
    assert robot(server.url).register("https://bot.example/webhooks/dingtalk", Deadline(60)) == ""
