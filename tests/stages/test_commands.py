"""Chat commands from the door to the words that people see; limits, bursts and rules on the way."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks import intake
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import (
    BotSettings,
    ChatSettings,
    ChromaSettings,
    ModelSettings,
    ProviderSettings,
    Settings,
)
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.fallback import Told
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import OVER_LIMIT, Stage
from mindbot_tasks.stores import cancelling, claims, inbox, knowledge, steps
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.stores.steps import LostLease
from tests.stages.conftest import Configure, Ledger
from tests.stores.words import ANSWER, LEASE_MS, message, worker

C, G, R, A = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY, Stage.APOLOGISE
Started = list[tuple[int, Stage]]


class Asked(list[tuple[Question, list[str]]]):
    """The questions that reached a model, each with the models that may answer."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A model that knows one answer."""
    questions = Asked()

    def answer(ways: Any, question: Question, sessions: Any, *_: Any) -> Told:
        questions.append((question, [getattr(way.answerer, "model", "") for way in ways]))
        return Told(Answer(f"answer {len(questions)}", provider="test"), "test", "session-1")

    monkeypatch.setattr(fallback, "answer", answer)
    return questions


@pytest.fixture
def bot(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the platform that does as it is told these settings."""

    def give(configured: dict[str, Any] | None = None, /, **settings: Any) -> None:
        configure(**(configured or {}))
        its_settings = BotSettings(**settings)
        monkeypatch.setattr(Settings, "bot", lambda *_: its_settings)

    return give


def test_a_command_is_answered_without_a_model(ledger: Ledger, asked: Asked, started: Started) -> None:
    one = ledger.receive("/help")
    ledger.run(one, C)
    assert started == [(one, C), (one, R)]
    assert ledger.run(one, R) == "SUCCESS"
    assert "/stop" in "".join(ledger.stooge.shown)
    told = [event.step for event in ledger.told(one).events]
    assert told[:4] == ["received", "classify:started", "answered", "reply:started"]
    assert told[-1] == "replied"
    assert asked == []


def test_who_writes_chinese_is_answered_in_chinese(ledger: Ledger) -> None:
    assert "/新对话" in ledger.say("／帮助")


def test_an_unknown_command_gets_help_and_a_path_an_answer(ledger: Ledger, asked: Asked) -> None:
    assert "I do not know the command `/imagine`" in ledger.say("/imagine a cat")
    assert ledger.say("/etc/passwd is world readable, is that bad?") == "answer 1"


def test_new_forgets_what_was_said(ledger: Ledger, asked: Asked) -> None:
    ledger.say("my name is Ada")
    ledger.say("and I am 36")
    assert len(asked[1][0].history) == 2
    assert "forgotten" in ledger.say("/new")
    ledger.say("who am I?")
    assert asked[2][0].history == ()
    ledger.say("really?")
    assert [turn.text for turn in asked[3][0].history] == ["who am I?", "answer 3"]


def test_new_lets_remote_conversations_begin_anew(
    ledger: Ledger, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = claims.claim

    def look(*args: Any, **options: Any) -> Claim | None:
        held = original(*args, **options)
        if held is not None and held.stage is G:
            seen.append(dict(held.sessions))
        return held

    monkeypatch.setattr(claims, "claim", look)
    for text in ("one", "two", "/reset", "three"):
        ledger.say(text)
    assert seen == [{}, {"test": "session-1"}, {}]


def test_commands_are_no_part_of_the_conversation(ledger: Ledger, asked: Asked) -> None:
    for text in ("one", "/help", "two"):
        ledger.say(text)
    assert [turn.text for turn in asked[1][0].history] == ["one", "answer 1"]
    told = ledger.say("/history")
    assert "one" in told
    assert "answer 2" in told
    assert "I know these commands" not in told


def test_history_of_nothing(ledger: Ledger) -> None:
    assert "Nothing was said" in ledger.say("/history")


MODELS = {
    "providers": {
        "openai": ProviderSettings(
            api_key=SecretStr("k"), models=[ModelSettings(name="small"), ModelSettings(name="big")]
        ),
        "deepseek": ProviderSettings(api_key=SecretStr("k"), models=[ModelSettings(name="deep")]),
    }
}


def test_an_administrator_chooses_the_model_of_a_conversation(ledger: Ledger, asked: Asked, bot: Any) -> None:
    bot(MODELS, admins=["u1"])
    assert "openai/big" in ledger.say("/model")
    assert "no model `huge`" in ledger.say("/model huge")
    assert "openai/big answers first" in ledger.say("/model BIG")
    ledger.say("hello")
    assert asked[0][1] == ["big", "small", "deep"]
    ledger.say("hello", conversation="another")
    assert asked[1][1] == ["small", "deep"]
    assert "as configured" in ledger.say("/model default")
    ledger.say("hello again")
    assert asked[2][1] == ["small", "deep"]


def test_every_provider_can_be_chosen_those_without_models_by_their_name(
    ledger: Ledger, asked: Asked, bot: Any
) -> None:
    more = {
        "dify": ProviderSettings(api_key=SecretStr("k")),
        "coze": ProviderSettings(api_key=SecretStr("k"), bot_id="7"),
        "chatglm": ProviderSettings(models=[ModelSettings(name="glm")], enabled=False),
        "anthropic": ProviderSettings(models=[ModelSettings(name="claude")]),
    }
    bot({"providers": {**MODELS["providers"], **more}}, admins=["u1"])
    told = ledger.say("/model")
    assert "`deepseek/deep`, `dify`, `coze`" in told
    assert "Not completely configured" in told
    assert "`anthropic`" in told.partition("Not completely")[2]
    assert "Switched off: `chatglm`" in told
    assert "coze answers first" in ledger.say("/model Coze")
    ledger.say("hello")
    assert asked[0][1] == ["", "small", "deep", ""]  # Coze, the models, Dify
    assert "openai/small answers first" in ledger.say("/model openai")


def test_others_may_not(ledger: Ledger, bot: Any) -> None:
    bot(MODELS)
    assert "Only administrators" in ledger.say("/model big")
    assert "Only administrators" in ledger.say("/ack 17")


def test_an_alert_that_is_not_open_cannot_be_acknowledged(ledger: Ledger, bot: Any) -> None:
    bot(admins=["u1"])
    assert "no open alert `A-17`" in ledger.say("/ack A-17")
    assert "Which alert" in ledger.say("/ack")


def test_administrators_have_pages_read_into_what_their_bot_may_search(ledger: Ledger, bot: Any) -> None:
    knows = {"chromadb": ChromaSettings()}
    bot(knows)
    assert "Only administrators" in ledger.say("/learn https://example.com/handbook.html")
    bot(admins=["u1"])
    assert "`chromadb` is not configured" in ledger.say("/learn https://example.com/handbook.html")
    bot(knows, admins=["u1"], knowledge=[])
    assert "no knowledge base" in ledger.say("/learn https://example.com/handbook.html")
    bot(knows, admins=["u1"], knowledge=["manuals"])
    assert "What shall I read" in ledger.say("/learn the handbook")
    told = ledger.say("/learn <https://example.com/handbook.html>")
    with one_statement() as connection:
        [document] = knowledge.listed(connection)
        other, _ = knowledge.add(connection, "secrets", "x", "url", "x", None)
    assert (document.base, document.source) == ("manuals", "https://example.com/handbook.html")
    assert f"document {document.id}" in told
    assert "waits to be read" in ledger.say(f"/learn {document.id}")
    assert "no document" in ledger.say(f"/learn {other}")


def test_each_bot_has_its_own_agent(ledger: Ledger, asked: Asked, bot: Any) -> None:
    bot(MODELS, model="deepseek/deep", language="zh", default_workflow="desk")
    ledger.say("hello")
    question, models = asked[0]
    assert models == ["deep", "small"]
    assert (question.language, question.classification.label) == ("zh", "desk")


def test_status_does_not_wait_for_what_it_asks_about(ledger: Ledger, asked: Asked, started: Started) -> None:
    one, two = ledger.receive("a long one"), ledger.receive("another")
    ledger.run(one, C)
    told = ledger.say("/status")
    assert f"#{one}" in told
    assert f"#{two}" in told
    assert "(2)" in told
    assert (ledger.state(one), ledger.state(two)) == ("classified", "received")
    ledger.run(one, G, R)
    assert started[-1] == (two, C), "the end of the first still starts the second"


def test_status_of_nothing(ledger: Ledger) -> None:
    assert "not working on anything else" in ledger.say("/status")


def test_stop_takes_the_answer_from_its_worker_at_once(ledger: Ledger, started: Started) -> None:
    one, two = ledger.receive("a long one"), ledger.receive("another")
    ledger.run(one, C)
    by = worker(ledger.engine)
    with one_statement() as connection:
        held = claims.claim(connection, one, G, worker=by, lease_ms=LEASE_MS)
    assert held is not None
    stop = ledger.receive("/stop")
    assert started[-1] == (one, A)
    with pytest.raises(LostLease), transaction() as connection:
        steps.save_answer(connection, held, ANSWER)
    for message_id in (one, two):
        ledger.run(message_id, A)
    assert [ledger.state(message_id) for message_id in (one, two)] == ["apologised", "apologised"]
    assert ledger.told(one).message["verdict"] == "cancelled"
    assert ledger.stooge.shown == []
    assert started[-1] == (stop, C)
    ledger.run(stop, C, R)
    assert ledger.stooge.shown == ["Stopped; 2 messages will not be answered."]


def test_the_worker_hears_of_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the command comes in while the model is being asked."""
    one = ledger.receive("a long one")
    ledger.run(one, C)

    def answer(_ways: Any, _question: Any, _sessions: Any, deadline: Any, _on_text: Any, *_: Any) -> Told:
        deadline.check()
        stopped: list[cancelling.Stopped] = []
        monkeypatch.setattr(cancelling, "tell", stopped.extend)
        ledger.receive("/stop")
        for told in stopped:
            cancelling.here.note(told.message_id, told.attempt)
        deadline.within(5).check()
        pytest.fail("nobody told the model's caller")

    monkeypatch.setattr(fallback, "answer", answer)
    assert ledger.run(one, G) == "IGNORED"
    assert ledger.told(one).message["verdict"] == "cancelled"


def test_without_redis_the_ledger_tells(ledger: Ledger) -> None:
    one = ledger.receive("a long one")
    ledger.run(one, C)
    by = worker(ledger.engine)
    with one_statement() as connection:
        held = claims.claim(connection, one, G, worker=by, lease_ms=LEASE_MS)
    assert held is not None
    here = cancelling.Cancellations()
    here.began(one, held.attempt)
    ledger.receive("/stop")
    with one_statement() as connection:
        here.compare(connection)
    assert here.over(one, held.attempt)
    assert not here.over(one, held.attempt + 1), "a replay is another matter"


def test_stop_with_nothing_to_stop_says_so(ledger: Ledger) -> None:
    assert "nothing to stop" in ledger.say("/stop")


def test_in_a_group_one_stops_only_what_one_has_asked(ledger: Ledger, bot: Any) -> None:
    bot(admins=["boss"])
    own, others = (ledger.receive(text, sender_id=who) for text, who in (("one", "u1"), ("two", "u2")))
    for message_id in (own, others):
        ledger.change(message_id, conversation_kind="group")
    group = message(platform="stooge", text="/stop", sender_id="u1")
    object.__setattr__(group, "conversation_kind", "group")
    intake.receive([group])
    assert [ledger.told(one).message["verdict"] for one in (own, others)] == ["cancelled", None]
    boss = message(platform="stooge", text="/stop", sender_id="boss")
    object.__setattr__(boss, "conversation_kind", "group")
    intake.receive([boss])
    assert ledger.told(others).message["verdict"] == "cancelled"


def test_a_late_copy_of_a_stop_stops_nothing_new(ledger: Ledger) -> None:
    stop = message("stop-1", platform="stooge", text="/stop")
    (stop_id,) = intake.receive([stop])
    ledger.run(stop_id, C, R)
    later = ledger.receive("a new question")
    intake.receive([stop])
    assert ledger.told(later).message["verdict"] is None


def test_an_answer_in_several_pieces_is_stopped_between_two(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "answer", lambda *_: Told(Answer("one\n\ntwo\n\nthree", provider="test"), "test"))
    one = ledger.receive("a long one")
    ledger.run(one, C, G)
    told: list[cancelling.Stopped] = []
    monkeypatch.setattr(cancelling, "tell", told.extend)
    stops: list[int] = []

    def stop() -> None:
        stops.append(ledger.receive("/stop"))
        for each in told:
            cancelling.here.note(each.message_id, each.attempt)

    ledger.stooge.script = [stop]
    ledger.run(one, R)
    assert ledger.state(one) == "replied"
    ledger.run(stops[0], C, R)
    first, confirmation = ledger.stooge.shown
    assert first == "one"
    assert "already on its way" in confirmation


def test_who_asks_too_much_is_told_so_once(ledger: Ledger, asked: Asked, bot: Any) -> None:
    bot(user_rate="2/m")
    ids = [ledger.receive(f"question {number}") for number in range(5)]
    assert [ledger.state(one) for one in ids] == ["received", "received", "received", "ignored", "ignored"]
    for one in ids[:3]:
        ledger.run(one, C, G, R)
    assert ledger.stooge.shown[:2] == ["answer 1", "answer 2"]
    assert "a bit much" in ledger.stooge.shown[2]
    assert len(ledger.stooge.shown) == 3
    assert ledger.told(ids[3]).events[0].note == "over the limit"
    stop = ledger.receive("/stop")
    assert ledger.state(stop) == "received", "one may always stop"
    assert ledger.state(ledger.receive("hello", sender_id="u2")) == "received"


@pytest.mark.parametrize("away", [False, True])
def test_a_group_that_is_too_busy_is_told_so_once(ledger: Ledger, bot: Any, away: bool) -> None:
    changes = {"redis_url": SecretStr("redis://127.0.0.1:1/0")} if away else {}
    bot(changes, group_rate="2/m", user_rate="9/m")
    from mindbot_tasks.stores.redis import get_redis

    get_redis.cache_clear()
    ids = [ledger.receive("hi", sender_id=f"u{n}", conversation_kind="group") for n in range(6)]
    assert [ledger.state(one) for one in ids] == [*["received"] * 3, *["ignored"] * 3]


def test_a_limit_holds_while_redis_is_away(ledger: Ledger, bot: Any) -> None:
    bot({"redis_url": SecretStr("redis://127.0.0.1:1/0")}, user_rate="2/m")
    from mindbot_tasks.stores.redis import get_redis

    get_redis.cache_clear()
    states = [ledger.state(ledger.receive(f"question {number}")) for number in range(4)]
    assert states == ["received", "received", "received", "ignored"]


@pytest.mark.parametrize("away", [False, True], ids=["redis", "without redis"])
def test_what_is_posted_again_because_the_database_was_away_counts_once(
    ledger: Ledger, bot: Any, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    bot({"redis_url": SecretStr("redis://127.0.0.1:1/0")} if away else {}, user_rate="2/m")
    from mindbot_tasks.stores.redis import get_redis

    get_redis.cache_clear()
    said = [message(platform="stooge", text=f"question {number}") for number in range(4)]

    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(inbox, "record_once", fail)
        for one in said:
            for _ in range(2):
                intake._database.worked()
                with pytest.raises(DatabaseUnavailable):
                    intake.receive([one])
    intake._database.worked()
    ids = [intake.receive([one])[0] for one in said for _ in range(2)]
    assert [ledger.state(one) for one in ids[::2]] == ["received", "received", "received", "ignored"]
    assert ledger.told(ids[4]).message["label"] == OVER_LIMIT
    assert ids[::2] == ids[1::2]
    assert ledger.state(ledger.receive("hello", sender_id="u2")) == "received"


def test_messages_of_a_burst_are_one_question(ledger: Ledger, asked: Asked, bot: Any, started: Started) -> None:
    bot(burst_window_s=30)
    one, two, three = (ledger.receive(text) for text in ("my printer", "the one upstairs", "is on fire"))
    assert ledger.run(one, C) == "IGNORED", "it waits for more"
    ledger.awaken(one)
    ledger.run(one, C, G, R)
    assert asked[0][0].text == "my printer\nthe one upstairs\nis on fire"
    assert ledger.stooge.shown == ["answer 1"]
    assert [ledger.state(each) for each in (one, two, three)] == ["replied"] * 3
    told = ledger.told(two)
    assert told.events[-1].note == f"answered together with #{one}"
    assert {message_id for message_id, _ in started} == {one}


def test_somebody_else_and_a_command_are_no_part_of_a_burst(ledger: Ledger, bot: Any) -> None:
    bot(burst_window_s=30)
    ids = [
        ledger.receive("my printer"),
        ledger.receive("hello", sender_id="u2"),
        ledger.receive("/help"),
        ledger.receive("elsewhere", conversation="c2"),
    ]
    for one in ids:
        assert [event.step for event in ledger.told(one).events] == ["received"]


def test_a_bot_that_repeats_our_answers_is_left_alone(ledger: Ledger, asked: Asked) -> None:
    for text in ("hello", "answer 1"):
        ledger.say(text)
    echo = ledger.receive("answer 2")
    ledger.run(echo, C, G)
    assert ledger.state(echo) == "ignored"


def test_the_same_again_and_again_is_ignored_after_a_while(ledger: Ledger) -> None:
    states = [ledger.state(ledger.receive("thanks")) for _ in range(8)]
    assert states == ["received"] * 6 + ["ignored"] * 2


def test_the_settings_of_a_bot_are_found_by_its_platform_and_name() -> None:
    settings = Settings(chat={"crm": ChatSettings(admins=["u9"])})
    assert settings.bot("chat", "crm").admins == ["u9"]
    assert settings.bot("chat", "playground").admins == []
    assert settings.bot("home", "x").admins == []
