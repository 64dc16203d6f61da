"""WeCom Customer Service: the bell, asking for pages, and what may be sent to whom."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from emulators.wecom.callbacks import App
from emulators.wecom.kf_bell import bell_of, post_of
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, SignatureInvalid, Unavailable
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import WeComCsSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Outgoing, Part
from mindbot_tasks.model.news import Bell, Occurrence
from mindbot_tasks.platforms.base import (
    BringsNews,
    Examined,
    HandsOver,
    HoldsMedia,
    Inbound,
    Platform,
    Pulls,
    Reacts,
)
from mindbot_tasks.platforms.wecomcs import WeComCs
from mindbot_tasks.platforms.wecomcs.client import KfClient
from mindbot_tasks.platforms.weixin import Client
from tests.platforms import weixin_vectors as vectors
from tests.platforms.contract import JSON, TOTAL, PlatformContract
from tests.platforms.far_side import FarSide, Say, unused_port
from tests.platforms.test_wecomcs_items import ADDRESS, item

APP = App(vectors.TOKEN, vectors.AES_KEY, vectors.CORPID)
NOW_MS = vectors.NOW_MS


class OneToken:
    """A token that nobody refuses."""

    def get(self, name: str, fetch: object) -> str:
        return "token-1"

    def drop(self, name: str, used: str) -> None:
        """Nothing was kept."""


def make(url: str, **settings: Any) -> WeComCs:
    values: dict[str, Any] = {
        "corpid": vectors.CORPID,
        "secret": SecretStr("secret"),
        "token": SecretStr(vectors.TOKEN),
        "encoding_aes_key": SecretStr(vectors.AES_KEY),
        "api_base": url,
        "take_sessions": False,
    }
    read = WeComCsSettings(**(values | settings))
    client = Client("wecomcs", corpid=read.corpid, secret="secret", api_base=url, http=Http(), tokens=OneToken())
    return WeComCs("default", read, KfClient(client), clock_ms=lambda: NOW_MS)


def call_of(message: str, *, at: float = NOW_MS / 1000, app: App = APP) -> Inbound:
    query, body = post_of(message, app, at=at)
    return Inbound("POST", {"content-type": "text/xml"}, query, body, NOW_MS)


@pytest.fixture
def platform(server: FarSide) -> WeComCs:
    return make(server.url)


@pytest.fixture
def signed_call() -> Inbound:
    return call_of(bell_of(APP, "wk1", "ENCtoken", at=NOW_MS / 1000))


@pytest.fixture
def outgoing() -> Outgoing:
    return Outgoing(7, "wecomcs", "default", "wk1:wm1", "one_to_one", "wm1", ADDRESS, Part("text", "hello"), 0, 1,
                    "mindbot-7-0")  # fmt: skip


class TestContract(PlatformContract):
    max_chars = 2048
    idempotent = True
    more_fields = ()

    @pytest.fixture
    def stale_call(self) -> Inbound:
        return call_of(bell_of(APP, "wk1", "t"), at=NOW_MS / 1000 - 3600)

    @pytest.fixture
    def unreachable(self) -> WeComCs:
        return make(f"http://127.0.0.1:{unused_port()}")

    def test_accepts_a_signed_call(self, platform: Platform, signed_call: Inbound) -> None:
        platform.verify(signed_call)
        assert platform.parse(signed_call) == []
        assert isinstance(platform, BringsNews)
        assert platform.news(signed_call).bells == (Bell("wk1", "ENCtoken"),)

    def fields_of(self, call: Inbound) -> dict[str, Any]:
        return {"Event": "kf_msg_or_event", "OpenKfId": "wk1", "Token": "t"}

    def with_fields(self, call: Inbound, fields: dict[str, Any]) -> Inbound:
        content = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items() if name.isalpha())
        return call_of(f"<xml>{content}</xml>".encode("utf-8", "replace").decode())

    @TOTAL
    @given(data=st.data())
    def test_any_value_in_any_field_is_news_or_payload_invalid(
        self, platform: WeComCs, signed_call: Inbound, data: st.DataObject
    ) -> None:
        fields = data.draw(st.dictionaries(st.sampled_from(["Event", "OpenKfId", "Token", "More"]), JSON, max_size=4))
        try:
            told = platform.news(self.with_fields(signed_call, self.fields_of(signed_call) | fields))
        except PayloadInvalid:
            return
        assert all(0 < len(bell.feed) <= 255 for bell in told.bells)
        assert all(0 < len(one.external_id) <= 255 for one in told.occurrences)

    @TOTAL
    @given(body=st.binary() | JSON.map(json.dumps).map(str.encode))
    def test_any_body_is_messages_or_payload_invalid(
        self, platform: Platform, signed_call: Inbound, body: bytes
    ) -> None:
        assert isinstance(platform, WeComCs)
        for read in (platform.parse, platform.news, platform.verify):
            with pytest.raises(PayloadInvalid):
                read(dataclasses.replace(signed_call, body=body))


def test_it_can_do_what_the_stages_look_for(platform: WeComCs) -> None:
    for protocol in (BringsNews, Pulls, Reacts, HandsOver, HoldsMedia, Examined):
        assert isinstance(platform, protocol)


def test_the_url_is_verified_with_the_opened_echo(platform: WeComCs) -> None:
    query = {**vectors.QUERY, "echostr": vectors.ECHO_SEALED, "msg_signature": vectors.ECHO_SIGNATURE}
    for echostr in (vectors.ECHO_SEALED, vectors.ECHO_SEALED.replace("+", " ")):
        inbound = Inbound("GET", {}, {**query, "echostr": echostr}, b"", NOW_MS)
        platform.verify(inbound)
        assert platform.parse(inbound) == []
        assert platform.news(inbound).bells == ()
        assert platform.acknowledge(inbound, []).body == vectors.ECHO.encode()


def test_a_bell_is_answered_with_nothing(platform: WeComCs, signed_call: Inbound) -> None:
    assert platform.acknowledge(signed_call, []).body == b""


def test_a_call_for_another_enterprise_is_refused(platform: WeComCs) -> None:
    replaced = dataclasses.replace(APP, corpid="wwother")
    with pytest.raises(SignatureInvalid):
        platform.news(call_of(bell_of(APP, "wk1", "t"), app=replaced))


def test_another_event_is_kept_as_it_came(platform: WeComCs) -> None:
    xml = "<xml><Event><![CDATA[kf_account_auth_change]]></Event><CreateTime>1700000000</CreateTime></xml>"
    told = platform.news(call_of(xml))
    assert told.bells == ()
    (occurrence,) = told.occurrences
    assert occurrence.kind == "kf_account_auth_change"
    assert platform.news(call_of(xml)).occurrences[0].external_id == occurrence.external_id


# pages


def test_a_page_is_asked_for_with_cursor_and_token(platform: WeComCs, server: FarSide) -> None:
    server.script.append(
        Say(200, {"errcode": 0, "next_cursor": "c2", "has_more": 1, "msg_list": [item("text", {"content": "x"})]})
    )
    page = platform.pull("wk1", "c1", "ENC", Deadline(60))
    asked = server.asked[-1]
    assert asked.path.startswith("/cgi-bin/kf/sync_msg?")
    assert asked.json == {"open_kfid": "wk1", "cursor": "c1", "token": "ENC", "limit": 100, "voice_format": 0}
    assert (len(page.items), page.cursor, page.more) == (1, "c2", True)


def test_a_bell_that_is_too_old_is_no_reason_not_to_ask(platform: WeComCs, server: FarSide) -> None:
    server.script += [Say(200, {"errcode": 95007}), Say(200, {"errcode": 0, "next_cursor": "c2", "has_more": 0})]
    assert platform.pull("wk1", "c1", "ENC", Deadline(60)).cursor == "c2"
    assert "token" not in server.asked[-1].json


@pytest.mark.parametrize("body", [b"<html>", b"[]", {"errcode": 0, "msg_list": "x"}, {"errcode": 0, "next_cursor": 5}])
def test_a_page_that_cannot_be_read_may_be_readable_later(platform: WeComCs, server: FarSide, body: Any) -> None:
    server.script.append(Say(200, body))
    with pytest.raises(Unavailable):
        platform.pull("wk1", "", "", Deadline(60))


# sending


def test_a_text_is_sent_under_an_id_that_is_the_same_for_each_try(
    platform: WeComCs, server: FarSide, outgoing: Outgoing
) -> None:
    server.script.append(Say(cut=True))
    with pytest.raises(Unavailable):
        platform.send(outgoing, Deadline(60))
    server.script.append(Say(200, {"errcode": 95033, "errmsg": "used"}))
    sent_id = platform.send(outgoing, Deadline(60))
    first, second = (asked.json for asked in server.asked)
    assert first == second
    assert first["msgid"] == sent_id
    assert first["touser"] == "wm1"
    assert first["text"] == {"content": "hello"}
    assert len(sent_id) <= 32
    assert sent_id.replace("-", "").replace("_", "").isalnum()


def test_ids_differ_between_pieces_messages_and_ledgers(platform: WeComCs, server: FarSide, outgoing: Outgoing) -> None:
    other_ledger = {**ADDRESS, "msgid": "kf2"}
    for one in (
        outgoing,
        dataclasses.replace(outgoing, key="mindbot-7-1"),
        dataclasses.replace(outgoing, key="mindbot-8-0"),
        dataclasses.replace(outgoing, address=other_ledger),
    ):
        platform.send(one, Deadline(60))
    assert len({asked.json["msgid"] for asked in server.asked}) == 4


@pytest.mark.parametrize(("errcode", "kind"), [(95001, "quota"), (95002, "expired"), (95031, "expired")])
def test_what_wechat_does_not_let_through_is_dropped(
    platform: WeComCs, server: FarSide, outgoing: Outgoing, errcode: int, kind: str
) -> None:
    server.script.append(Say(200, {"errcode": errcode}))
    with pytest.raises(Rejected) as raised:
        platform.send(outgoing, Deadline(60))
    assert raised.value.kind == kind


@pytest.mark.parametrize("errcode", [95013, 95018])
@pytest.mark.parametrize(("state", "kind"), [(2, "with_person"), (3, "with_person"), (4, "expired")])
def test_a_session_that_is_not_ours_is_looked_at(
    platform: WeComCs, server: FarSide, outgoing: Outgoing, errcode: int, state: int, kind: str
) -> None:
    server.script += [Say(200, {"errcode": errcode}), Say(200, {"errcode": 0, "service_state": state})]
    with pytest.raises(Rejected) as raised:
        platform.send(outgoing, Deadline(60))
    assert raised.value.kind == kind


def paths(server: FarSide) -> list[str]:
    return [asked.path.partition("?")[0].removeprefix("/cgi-bin/kf/") for asked in server.asked]


def test_a_new_session_becomes_the_bots_once(server: FarSide, outgoing: Outgoing) -> None:
    platform = make(server.url, take_sessions=True)
    server.script.append(Say(200, {"errcode": 0, "service_state": 0}))
    platform.send(outgoing, Deadline(60))
    platform.send(dataclasses.replace(outgoing, number=1), Deadline(60))
    platform.send(outgoing, Deadline(60))
    assert paths(server) == ["service_state/get", "service_state/trans", "send_msg", "send_msg", "send_msg"]
    assert server.asked[1].json["service_state"] == 1


def test_a_late_answer_is_held_back_when_a_person_has_the_conversation(
    platform: WeComCs, server: FarSide, outgoing: Outgoing
) -> None:
    late = dataclasses.replace(outgoing, address={**ADDRESS, "sent_at_ms": NOW_MS - 61_000})
    server.script.append(Say(200, {"errcode": 0, "service_state": 3}))
    with pytest.raises(Rejected) as raised:
        platform.send(late, Deadline(60))
    assert raised.value.kind == "with_person"
    assert paths(server) == ["service_state/get"]


def test_states_that_may_not_be_read_stop_no_answer(server: FarSide, outgoing: Outgoing) -> None:
    platform = make(server.url, take_sessions=True)
    server.script.append(Say(200, {"errcode": 95017}))
    platform.send(outgoing, Deadline(60))
    assert paths(server) == ["service_state/get", "send_msg"]


@pytest.mark.parametrize(
    "text", ["人工", "人工！", " 转人工 ", "请转人工谢谢", "Human, please!", "HUMAN", "I want to talk to a human now"]
)
def test_asking_for_a_person_is_understood(platform: WeComCs, text: str) -> None:
    assert platform.asks_for_person(text) is (text != "Human, please!")


@pytest.mark.parametrize("text", ["", "!!!", "人工智能是什么", "what is a human?", "the agent of change"])
def test_talking_about_people_is_not_asking_for_one(platform: WeComCs, text: str) -> None:
    assert not platform.asks_for_person(text)


@pytest.fixture
def transfer(outgoing: Outgoing) -> Outgoing:
    return dataclasses.replace(outgoing, part=Part("transfer", data={"language": "en"}), number=1, key="mindbot-7-1")


def test_agents_are_asked_in_order_then_the_pool(server: FarSide, transfer: Outgoing) -> None:
    platform = make(server.url, servicer_userids=["ann", "bob"])
    server.script += [
        Say(200, {"errcode": 0, "service_state": 1}),
        Say(200, {"errcode": 95019}),
        Say(200, {"errcode": 95014}),
    ]
    assert platform.hand_over(transfer, Deadline(60))
    asked = [(one.json.get("service_state"), one.json.get("servicer_userid")) for one in server.asked]
    assert asked == [(None, None), (3, "ann"), (3, "bob"), (2, None)]


def test_a_session_that_a_person_has_is_handed_over_already(
    platform: WeComCs, server: FarSide, transfer: Outgoing
) -> None:
    server.script.append(Say(200, {"errcode": 0, "service_state": 2}))
    assert platform.hand_over(transfer, Deadline(60))
    assert len(server.asked) == 1


def test_when_nobody_is_there_the_customer_hears_so(platform: WeComCs, server: FarSide, transfer: Outgoing) -> None:
    state = Say(200, {"errcode": 0, "service_state": 4})
    server.script += [state, Say(200, {"errcode": 95016}), state]
    assert not platform.hand_over(transfer, Deadline(60))
    assert "Nobody is available" in server.asked[-1].json["text"]["content"]


# events


def entered(age_ms: int = 1000, **data: Any) -> Occurrence:
    return Occurrence("e1", "enter_session", "wk1:wm1", {"welcome_code": "CODE", **data}, NOW_MS - age_ms)


@pytest.mark.parametrize(("welcome", "said"), [(None, "您好"), ("Hi there", "Hi there")])
def test_who_enters_is_greeted(server: FarSide, welcome: str | None, said: str) -> None:
    make(server.url, welcome=welcome).react(entered(), Deadline(60))
    assert paths(server) == ["send_msg_on_event"]
    assert server.asked[0].json["code"] == "CODE"
    assert said in server.asked[0].json["text"]["content"]


@pytest.mark.parametrize(
    ("welcome", "occurrence"),
    [("", entered()), (None, entered(31_000)), (None, Occurrence("e1", "enter_session", "wk1:wm1", {}, NOW_MS))],
)
def test_nobody_is_greeted_too_late_or_without_being_allowed(
    server: FarSide, welcome: str | None, occurrence: Occurrence
) -> None:
    make(server.url, welcome=welcome).react(occurrence, Deadline(60))
    assert server.asked == []


def test_a_used_welcome_code_is_no_error(platform: WeComCs, server: FarSide) -> None:
    server.script.append(Say(200, {"errcode": 41050}))
    platform.react(entered(), Deadline(60))


def test_a_message_that_did_not_arrive_is_told_to_the_operator(
    platform: WeComCs, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.react(Occurrence("e1", "msg_send_fail", "c", {"fail_msgid": "mb_1", "fail_type": 6}), Deadline(60))
    assert "wecomcs_send_failed" in capsys.readouterr().out


# rendering


def test_a_long_answer_is_a_few_messages_and_says_that_it_was_cut(platform: WeComCs) -> None:
    parts = platform.render(Answer("一句话。" * 2000, provider="test"))
    assert len(parts) == 4
    assert all(len(part.text.encode()) <= 2048 for part in parts)
    assert parts[-1].text.endswith("（回答过长，未能完整显示。）")
    assert sum(len(part.text) for part in parts) > 2500


def test_an_answer_that_fits_is_not_cut(platform: WeComCs) -> None:
    parts = platform.render(Answer("word " * 1600, provider="test"))
    assert len(parts) == 4
    assert parts[-1].text.endswith("word")


def test_a_transfer_comes_last(platform: WeComCs) -> None:
    parts = platform.render(Answer("One moment", provider="m", parts=(Part("transfer"),)))
    assert [part.kind for part in parts] == ["text", "transfer"]
