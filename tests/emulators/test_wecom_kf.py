"""The emulator of customer service keeps WeChat's rules: cursors, limits, sessions, codes."""

from __future__ import annotations

import pytest

from emulators.wecom.kf_state import Kf, Refused, State

TEXT = {"content": "hello"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kf(clock: Clock) -> Kf:
    return Kf(clock=clock)


def refusal(kf: Kf, msgid: str = "", user: str = "wm1") -> int:
    """The errcode of a send, 0: it worked."""
    try:
        kf.send("wk1", user, msgid, "text", TEXT)
    except Refused as exc:
        return exc.errcode
    return 0


def read(kf: Kf, cursor: str = "") -> tuple[list[list[str]], str]:
    """All pages from a cursor on, and the last cursor."""
    pages = []
    while True:
        page = kf.sync("wk1", cursor, "", 1000)
        cursor = page["next_cursor"]
        pages.append([item["msgid"] for item in page["msg_list"]])
        if not page["has_more"]:
            return pages, cursor


def test_pages_are_two_long_and_go_on_at_the_cursor(kf: Kf) -> None:
    ids = [kf.say("wk1", "wm1", "text", TEXT) for _ in range(5)]
    pages, cursor = read(kf)
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert read(kf, cursor) == ([[]], cursor)
    later = kf.say("wk1", "wm1", "text", TEXT)
    assert read(kf, cursor)[0] == [[later]]


def test_a_page_without_anything_may_come_before_one_with(kf: Kf) -> None:
    kf.empty_pages = True
    ids = [kf.say("wk1", "wm1", "text", TEXT) for _ in range(3)]
    assert read(kf)[0] == [[], ids[:2], [], ids[2:]]


def test_without_a_cursor_three_days_are_told(kf: Kf, clock: Clock) -> None:
    kf.say("wk1", "wm1", "text", TEXT)
    clock.now += 3 * 86_400 + 1
    late = kf.say("wk1", "wm1", "text", TEXT)
    assert read(kf)[0] == [[late]]


def test_the_token_of_a_bell_lives_ten_minutes_and_without_one_calls_are_few(kf: Kf, clock: Clock) -> None:
    token = kf.bell("wk1")
    kf.sync("wk1", "", token, 10)
    clock.now += 601
    with pytest.raises(Refused) as refused:
        kf.sync("wk1", "", token, 10)
    assert refused.value.errcode == 95007
    kf.unbelled_calls = 1
    kf.sync("wk1", "", "", 10)
    with pytest.raises(Refused) as refused:
        kf.sync("wk1", "", "", 10)
    assert refused.value.errcode == 45009


def test_five_messages_after_each_of_the_customers_within_two_days(kf: Kf, clock: Clock) -> None:
    assert refusal(kf) == 95002, "who never wrote cannot be written to"
    kf.say("wk1", "wm1", "text", TEXT)
    assert [refusal(kf) for _ in range(6)] == [0, 0, 0, 0, 0, 95001]
    kf.say("wk1", "wm1", "text", TEXT)
    assert refusal(kf) == 0
    clock.now += 2 * 86_400 + 1
    assert refusal(kf) == 95002


def test_an_id_is_used_once(kf: Kf) -> None:
    kf.say("wk1", "wm1", "text", TEXT)
    assert [refusal(kf, "mine") for _ in range(2)] == [0, 95033]
    assert refusal(kf, "not/allowed") == 40058
    assert refusal(kf, "x" * 33) == 40058
    assert len(kf.shown) == 1


def test_sessions_go_where_they_may(kf: Kf) -> None:
    kf.servicers = {"ann": True, "bob": False}
    kf.say("wk1", "wm1", "text", TEXT)
    assert kf.state("wk1", "wm1").state is State.NEW
    kf.change("wk1", "wm1", 1, "")
    for servicer, errcode in (("nobody", 95014), ("bob", 95019)):
        with pytest.raises(Refused) as refused:
            kf.change("wk1", "wm1", 3, servicer)
        assert refused.value.errcode == errcode
    kf.change("wk1", "wm1", 2, "")
    assert refusal(kf) == 95018
    with pytest.raises(Refused) as refused:
        kf.change("wk1", "wm1", 1, "")
    assert refused.value.errcode == 95016
    kf.act("wk1", "wm1", "take", "ann")
    kf.act("wk1", "wm1", "end")
    assert refusal(kf) == 95013
    kf.say("wk1", "wm1", "text", TEXT)
    assert refusal(kf) == 0


def test_a_welcome_code_works_once_for_20_seconds(kf: Kf, clock: Clock) -> None:
    _, one = kf.enter("wk1", "wm1")
    _, two = kf.enter("wk1", "wm2")
    kf.send_on_event(one, "", "text", TEXT)
    clock.now += 21
    for code in (one, two):
        with pytest.raises(Refused) as refused:
            kf.send_on_event(code, "", "text", TEXT)
        assert refused.value.errcode == 41050
    assert [one["external_userid"] for one in kf.shown] == ["wm1"]


def test_a_send_may_fail_after_it_was_taken(kf: Kf) -> None:
    kf.say("wk1", "wm1", "text", TEXT)
    kf.failing["wm1"] = 10
    assert refusal(kf, "mine") == 0
    assert kf.shown == []
    assert kf.feeds["wk1"][-1]["event"]["fail_msgid"] == "mine"
