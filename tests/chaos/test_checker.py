"""The checker on hand-written histories: it finds every kind of broken promise, and nothing where none is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.chaos import history, report
from tests.chaos.checker import Verdict, check
from tests.chaos.history import Asked, Fault, History, Platform, Said, Shown, Up, marker


def said(number: int, *, who: int = 0, acknowledged: bool = True, ordered: bool = True, posts: int = 1) -> Said:
    at_ms = number * 1000
    return Said(
        msg_id=f"msg-{who}-{number}",
        conversation=f"cid{who}",
        number=number,
        marker=marker(who, number),
        ordered=ordered,
        at_ms=at_ms,
        acknowledged_ms=at_ms + 10 if acknowledged else None,
        posts=posts,
    )


def answer(to: Said, *, after_ms: int = 500, place: int | None = None) -> Shown:
    at_ms = to.at_ms + after_ms
    return Shown(at_ms, at_ms if place is None else place, to.msg_id, to.conversation, to.marker, "sent")


def asked(about: Said, at_ms: int, ended_ms: int | None, outcome: str | None = "sent") -> Asked:
    return Asked(at_ms, ended_ms, about.marker, outcome)


def kill(target: str, at_ms: int) -> Fault:
    return Fault("sigkill", target, at_ms, at_ms + 5)


def broken(verdict: Verdict) -> set[str]:
    return set(verdict.failures)


ONE, TWO, THREE = said(1), said(2), said(3)


def test_a_good_history_breaks_no_promise() -> None:
    told = History((ONE, TWO, THREE), tuple(answer(one) for one in (ONE, TWO, THREE)))
    assert broken(check(told)) == set()


def test_an_acknowledged_message_without_any_text_is_lost() -> None:
    verdict = check(History((ONE, TWO), (answer(ONE),)))
    assert broken(verdict) == {"P1 lost"}
    assert TWO.marker in verdict.lost[0]


def test_an_apology_is_an_outcome_and_is_counted() -> None:
    verdict = check(History((ONE,), (replace(answer(ONE), marker=None),)))
    assert broken(verdict) == set()
    assert verdict.counts["apologised"] == 1


def test_a_system_that_only_apologises_does_not_pass() -> None:
    messages = tuple(said(number) for number in range(1, 11))
    verdict = check(History(messages, tuple(replace(answer(one), marker=None) for one in messages)))
    assert broken(verdict) == {"too many apologies"}


def test_a_message_that_was_never_acknowledged_is_not_lost_but_named() -> None:
    assert broken(check(History((said(1, acknowledged=False),), ()))) == {"never acknowledged"}


def test_two_answers_without_a_kill_are_doubled() -> None:
    verdict = check(History((ONE,), (answer(ONE), answer(ONE, after_ms=900))))
    assert broken(verdict) == {"P3 doubled outside the window"}


def test_a_second_answer_to_a_duplicate_is_doubled() -> None:
    twice = said(1, posts=2)
    assert broken(check(History((twice,), (answer(twice), answer(twice, after_ms=60_000))))) == {
        "P3 doubled outside the window"
    }


def test_an_apology_after_the_answer_is_doubled() -> None:
    verdict = check(History((ONE,), (answer(ONE), replace(answer(ONE, after_ms=900), marker=None))))
    assert broken(verdict) == {"P3 doubled outside the window"}


@pytest.mark.parametrize("at_ms", [1_510, 1_300])  # the other one: the platform was slow to read the call
def test_a_second_answer_after_the_sender_was_killed_in_mid_send_is_counted_but_no_failure(at_ms: int) -> None:
    verdict = check(History((ONE,), (answer(ONE), answer(ONE, after_ms=9_000)), faults=(kill("fast", at_ms),)))
    assert broken(verdict) == set()
    assert len(verdict.in_window) == 1


@pytest.mark.parametrize(
    "fault",
    [
        kill("fast", 400),  # before the first answer
        kill("fast", 6_000),  # long after it
        kill("generate", 1_510),  # not a process that sends
        Fault("drain", "fast", 1_510, 1_515),  # stopped in good order
    ],
)
def test_other_faults_excuse_no_second_answer(fault: Fault) -> None:
    verdict = check(History((ONE,), (answer(ONE), answer(ONE, after_ms=9_000)), faults=(fault,)))
    assert "P3 doubled outside the window" in broken(verdict)


def test_one_kill_does_not_excuse_a_third_answer() -> None:
    texts = (answer(ONE), answer(ONE, after_ms=9_000), answer(ONE, after_ms=30_000))
    verdict = check(History((ONE,), texts, faults=(kill("fast", 1_510),)))
    assert (len(verdict.in_window), len(verdict.doubled)) == (1, 1)


def test_an_answer_before_that_of_an_earlier_message_is_out_of_order() -> None:
    verdict = check(History((ONE, TWO), (answer(ONE, place=8), answer(TWO, place=7))))
    assert broken(verdict) == {"P4 out of order"}


def test_order_is_judged_by_first_answers_within_a_conversation_and_only_where_it_is_known() -> None:
    elsewhere, hasty, hastier = said(2, who=1), said(1, who=2, ordered=False), said(2, who=2, ordered=False)
    told = History(
        (ONE, elsewhere, hasty, hastier),
        (answer(ONE, place=9), answer(elsewhere, place=1), answer(hasty, place=5), answer(hastier, place=4)),
    )
    assert broken(check(told)) == set()


def test_an_answer_in_another_conversation_is_found() -> None:
    assert broken(check(History((ONE,), (replace(answer(ONE), conversation="cid9"),)))) == {"wrong conversation"}


def test_an_answer_to_another_message_of_the_same_conversation_is_found() -> None:
    mixed = replace(answer(TWO), marker=ONE.marker)
    assert "wrong conversation" in broken(check(History((ONE, TWO), (answer(ONE), answer(TWO), mixed))))


def test_a_text_that_answers_nothing_is_found() -> None:
    stray = Shown(5_000, 9, "msg-unknown", "cid0", None, "sent")
    assert broken(check(History((ONE,), (answer(ONE), stray)))) == {"wrong conversation"}


def test_a_killed_model_call_is_timed_until_it_is_asked_again() -> None:
    told = History(
        (ONE,),
        (answer(ONE, after_ms=12_000),),
        (asked(ONE, 1_100, 1_250, "client_gone"), asked(ONE, 9_200, 9_600)),
        (kill("generate2", 1_200),),
    )
    (restart,) = check(told).restarts
    assert (restart.target, restart.after_s, restart.disturbed) == ("generate2", 8.0, False)


def test_an_answer_that_came_back_to_a_worker_killed_before_saving_it_is_timed_too() -> None:
    told = History(
        (ONE,), (answer(ONE, after_ms=12_000),), (asked(ONE, 1_100, 1_190), asked(ONE, 9_200, 9_600)),
        (kill("generate", 1_200),),
    )  # fmt: skip
    assert [restart.after_s for restart in check(told).restarts] == [8.0]


def test_a_model_call_that_ended_well_before_the_kill_is_no_restart() -> None:
    told = History((ONE,), (answer(ONE),), (asked(ONE, 1_100, 1_300),), (kill("generate", 1_310),))
    assert check(told).restarts == []


def test_a_summary_that_was_killed_is_no_restart_of_the_answer_that_is_there() -> None:
    told = History(
        (ONE,),
        (answer(ONE, after_ms=500),),
        (asked(ONE, 1_100, 1_300), asked(ONE, 20_000, 20_150, "client_gone"), asked(ONE, 90_000, 90_300)),
        (kill("generate", 20_100),),
    )
    assert check(told).restarts == []


def test_slow_restarts_break_the_promise_unless_something_else_broke_on_the_way() -> None:
    told = History(
        (ONE,),
        (answer(ONE, after_ms=30_000),),
        (asked(ONE, 1_100, 1_250, "client_gone"), asked(ONE, 21_200, 21_600)),
        (kill("generate", 1_200),),
        (Up("generate", 2_300),),
    )
    assert broken(check(told)) == {"slow restart"}
    for fault in (kill("upkeep", 5_000), Fault("freeze", "redis", 500, 3_000), kill("generate2", 4_000)):
        verdict = check(replace(told, faults=(*told.faults, fault)))
        assert broken(verdict) == set()
        assert verdict.restarts[0].disturbed
    for fault in (kill("web", 5_000), kill("upkeep", 25_000), kill("generate", 9_000)):
        assert broken(check(replace(told, faults=(*told.faults, fault)))) == {"slow restart"}


def on(platform: Platform) -> Said:
    return replace(said(1), platform=platform)


def nameless(to: Said, *, after_ms: int = 500) -> Shown:
    """As most platforms tell it: who saw it, and nothing about what it answers."""
    return replace(answer(to, after_ms=after_ms), msg_id=None)


@pytest.mark.parametrize("platform", ["cards", "wecom", "wecomcs"])
@pytest.mark.parametrize("target", ["fast", "generate"])
def test_where_the_platform_knows_repeats_no_kill_excuses_a_second_answer(platform: Platform, target: str) -> None:
    one = on(platform)
    told = History((one,), (nameless(one), nameless(one, after_ms=9_000)), faults=(kill(target, 1_510),))
    verdict = check(told)
    assert broken(verdict) == {"P3 doubled outside the window"}
    assert verdict.in_window == []


@pytest.mark.parametrize(("platform", "sender", "other"), [("stream", "fast", "stream"), ("aim", "aim", "fast")])
def test_elsewhere_only_the_death_of_who_sends_excuses_it(platform: Platform, sender: str, other: str) -> None:
    one = on(platform)
    told = History((one,), (nameless(one), nameless(one, after_ms=9_000)))
    verdict = check(replace(told, faults=(kill(sender, 1_510),)))
    assert (broken(verdict), len(verdict.in_window)) == (set(), 1)
    assert broken(check(replace(told, faults=(kill(other, 1_510),)))) == {"P3 doubled outside the window"}


@pytest.mark.parametrize("platform", history.PLATFORMS)
def test_what_a_platform_handed_over_in_peace_must_be_answered(platform: Platform) -> None:
    told = History((on(platform),), (), faults=(kill("aim", 11_100), kill("web", 1_020)))
    assert broken(check(told)) == {"P1 lost"}


def test_what_aim_delivered_to_a_bridge_that_was_then_killed_may_be_forgotten_and_is_counted() -> None:
    told = History((on("aim"),), (), faults=(kill("aim", 6_000),))
    verdict = check(told)
    assert (broken(verdict), len(verdict.never_noted)) == (set(), 1)
    other = replace(told, said=(on("stream"),))
    assert broken(check(other)) == {"P1 lost"}, "what was acknowledged must not be forgotten"


def test_a_card_without_an_end_is_found() -> None:
    one = on("cards")
    on_card = replace(nameless(one), card="card-1")
    assert broken(check(History((one,), (on_card,), cards=("card-1",)))) == set()
    assert broken(check(History((one,), (on_card,), cards=("card-0", "card-1")))) == {"card left hanging"}


def test_an_apology_that_names_no_message_belongs_to_the_one_that_waits() -> None:
    first, second = on("wecom"), replace(said(2), platform="wecom")
    apology = replace(nameless(second), marker=None)
    verdict = check(History((first, second), (nameless(first), apology)))
    assert (broken(verdict), verdict.counts["apologised"]) == (set(), 1)
    assert broken(check(History((first,), (nameless(first), replace(apology, at_ms=9_000))))) == {
        "P3 doubled outside the window"
    }
    stray = replace(apology, conversation="nobody's")
    assert "wrong conversation" in broken(check(History((first,), (nameless(first), stray))))


def test_the_logs_of_every_platform_are_read(tmp_path: Path) -> None:
    words = {platform: marker(number, 1) for number, platform in enumerate(history.PLATFORMS)}
    where = {
        "dingtalk": "cid0",
        "wecom": "member1",
        "wecomcs": "wk0:wm2",
        "cards": "cid3",
        "stream": "cid4",
        "aim": "peer5",
    }
    intents: list[dict[str, object]] = [
        {"event": "say", "at_ms": 100, "msg_id": platform, "conversation": where[platform], "number": 1, "marker": word,
         "ordered": True, "platform": platform}
        for platform, word in words.items()
    ]  # fmt: skip
    intents += [
        {"event": "post", "at_ms": 150, "msg_id": platform, "kind": "first", "status": 200, "ms": 9}
        for platform in ("dingtalk", "wecom", "wecomcs", "cards")
    ]

    def call(seq: int, path: str, of: Platform, **fields: object) -> dict[str, object]:
        text = f"You said: {words[of]}"
        return {"event": "call", "seq": seq, "at_ms": 700, "path": path, "accepted": True, "text": text, **fields}

    streaming, card = "/v1.0/card/streaming", {"card": "c", "conversation": "cid3", "error": False}
    vendors: dict[str, list[dict[str, object]]] = {
        "dingtalk": [
            call(1, "/robot/sendBySession", "dingtalk", for_msg_id="dingtalk", conversation="cid0"),
            call(2, "/v1.0/card/instances/createAndDeliver", "cards", card="c", conversation="cid3"),
            call(3, streaming, "cards", **card, finalize=False),
            call(4, streaming, "cards", **card, finalize=True),
            call(5, streaming, "cards", **card, finalize=True, accepted=False, repeat=True),
            {"event": "frame", "seq": 6, "at_ms": 120, "msg_id": "stream", "connection": None},
            {"event": "frame", "seq": 7, "at_ms": 130, "msg_id": "stream", "connection": "connection-1"},
            {"event": "ack", "seq": 8, "at_ms": 140, "msg_id": "stream", "accepted": True},
            call(9, "/robot/sendBySession", "stream", for_msg_id="stream", conversation="cid4"),
        ],
        "wecom": [
            call(1, "/cgi-bin/message/send", "wecom", reached=["member1"]),
            call(2, "/cgi-bin/message/send", "wecom", reached=[], accepted=False, duplicate=True),
            call(3, "/cgi-bin/kf/send_msg", "wecomcs", open_kfid="wk0", user="wm2"),
            call(4, "/cgi-bin/kf/send_msg", "wecomcs", open_kfid="wk0", user="wm2", accepted=False, errcode=95033),
        ],
        "oscar": [
            {"event": "message", "seq": 1, "at_ms": 110, "cookie": "aim", "delivered": False},
            {"event": "message_kept", "seq": 2, "at_ms": 160, "cookie": "aim"},
            call(3, "/oscar/04/06", "aim", to="peer5", repeated=False),
        ],
    }

    def read(**changed: list[dict[str, object]]) -> History:
        paths = {}
        logs: dict[str, list[dict[str, object]]] = {"intents": intents, "nemesis": [], "model": []}
        for name, records in (logs | vendors | changed).items():
            paths[name] = tmp_path / f"{name}.jsonl"
            paths[name].write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
        return history.read(**paths)

    told = read()
    assert {one.platform: (one.acknowledged_ms, one.posts) for one in told.said} == {
        "dingtalk": (150, 1), "wecom": (150, 1), "wecomcs": (150, 1), "cards": (150, 1), "stream": (140, 1),
        "aim": (160, 1),
    }  # fmt: skip
    assert {one.marker: one.conversation for one in told.shown} == {
        word: where[platform] for platform, word in words.items()
    }
    assert (len(told.shown), told.cards, told.refused_repeats) == (6, ("c",), 3)
    assert broken(check(told)) == set()

    dingtalk, wecom, oscar = vendors["dingtalk"], vendors["wecom"], vendors["oscar"]
    second_card = call(10, streaming, "cards", **{**card, "card": "d"}, finalize=True)
    assert "P3 doubled outside the window" in broken(check(read(dingtalk=[*dingtalk, second_card])))
    again = call(5, "/cgi-bin/message/send", "wecom", reached=["member1"])
    assert broken(check(read(wecom=[*wecom, again]))) == {"P3 doubled outside the window"}
    assert broken(check(read(wecom=wecom[:2]))) == {"P1 lost"}
    repeated = call(4, "/oscar/04/06", "aim", to="peer5", repeated=True)
    assert broken(check(read(oscar=[*oscar, repeated]))) == {"P3 doubled outside the window"}
    astray = call(3, "/oscar/04/06", "aim", to="peer9", repeated=False)
    assert broken(check(read(oscar=[*oscar[:2], astray]))) == {"wrong conversation"}
    assert broken(check(read(dingtalk=[line for line in dingtalk if line["seq"] != 8]))) == {"never acknowledged"}


def test_the_logs_are_read_as_they_are_written(tmp_path: Path) -> None:
    word = marker(3, 1)
    lines = {
        "intents": [
            {"event": "say", "at_ms": 100, "msg_id": "m", "conversation": "cid", "number": 1, "marker": word,
             "ordered": True},
            {"event": "post", "at_ms": 110, "msg_id": "m", "kind": "first", "status": 503, "ms": 9},
            {"event": "post", "at_ms": 150, "msg_id": "m", "kind": "retry", "status": 200, "ms": 9},
            {"event": "post", "at_ms": 900, "msg_id": "m", "kind": "replay", "status": 200, "ms": 9},
        ],
        "nemesis": [
            {"event": "settings", "at_ms": 1, "settings": {"seed": 7}},
            {"event": "fault", "kind": "sigkill", "target": "web", "group": 9, "at_ms": 120, "done_ms": 121},
            {"event": "up", "at_ms": 130, "target": "web", "pid": 10},
        ],
        "dingtalk": [
            {"event": "call", "seq": 1, "at_ms": 90, "path": "/gettoken", "accepted": True},
            {"event": "call", "seq": 2, "at_ms": 700, "path": "/robot/sendBySession", "accepted": True,
             "for_msg_id": "m", "conversation": "cid", "text": f"You said: {word}"},
            {"event": "call", "seq": 3, "at_ms": 701, "path": "/robot/sendBySession", "accepted": False,
             "for_msg_id": "m", "conversation": "cid", "text": f"You said: {word}"},
            {"event": "end", "seq": 2, "at_ms": 720, "outcome": "sent", "ms": 20.4},
        ],
        "model": [
            {"event": "call", "seq": 1, "at_ms": 200, "path": "/v1/chat/completions", "accepted": True, "text": word},
            {"event": "end", "seq": 1, "at_ms": 600, "outcome": "sent", "ms": 400.2},
        ],
    }  # fmt: skip
    paths = {}
    for name, records in lines.items():
        paths[name] = tmp_path / f"{name}.jsonl"
        paths[name].write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    told = history.read(**paths)
    assert told.said == (Said("m", "cid", 1, word, True, 100, 150, 3),)
    assert told.shown == (Shown(700, 2, "m", "cid", word, "sent"),)
    assert told.asked == (Asked(200, 600, word, "sent"),)
    assert told.faults == (Fault("sigkill", "web", 120, 121),)
    assert told.ups == (Up("web", 130),)
    assert told.settings == {"seed": 7}
    verdict = check(told)
    assert broken(verdict) == set()
    assert "passed" in report.table(told, verdict)
