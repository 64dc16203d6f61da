"""What a bot remembers, from the door to the model: facts, summaries, silence, sharing; and what it forgets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings import (
    BotSettings,
    ContextSettings,
    ModelSettings,
    PiiSettings,
    ProviderSettings,
    ResponseSettings,
    Settings,
    WordsSettings,
)
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.fallback import Told
from mindbot_tasks.model.answer import Answer, Usage
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import summaries
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import MessageRow, SessionRow
from mindbot_tasks.stores.tables_context import FactRow, SummaryRow
from tests.stages.conftest import Configure, Ledger

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
MODEL = {"openai": ProviderSettings(api_key=SecretStr("k"), models=[ModelSettings(name="small")])}


class Models:
    """Whoever is asked: says what the script says, else a numbered answer."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.sessions: list[dict[str, str]] = []
        self.names: list[list[str]] = []
        self.script: list[str | Exception] = []

    def answer(
        self, ways: Any, question: Question, sessions: Any, _deadline: Any, on_text: Any, *_: Any, **__: Any
    ) -> Told:
        self.asked.append(question)
        self.sessions.append(dict(sessions))
        self.names.append([way.answerer.name for way in ways])
        act = self.script.pop(0) if self.script else f"answer {len(self.asked)}"
        if isinstance(act, Exception):
            raise act
        for end in range(0, len(act) + 1, 3):
            on_text(act[:end])
        said = Answer(act, "openai", "small", usage=Usage(10, 5), details={"answerer": "provider:openai"})
        return Told(said, "provider:openai", "session-1")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    them = Models()
    monkeypatch.setattr(fallback, "answer", them.answer)
    return them


def facts_of(question: Question) -> list[str]:
    return [fact.text for fact in question.facts]


def test_a_fact_is_there_in_another_conversation_and_only_for_whoever_told_it(ledger: Ledger, models: Models) -> None:
    assert ledger.say("remember that my team is called Blue") == "Noted: my team is called Blue"
    assert ledger.say("/记住 我喜欢绿茶") == "好的，记住了：我喜欢绿茶"
    assert models.asked == []
    ledger.say("who am I?", conversation="another")
    ledger.say("who am I?", conversation="third", sender_id="u2")
    assert facts_of(models.asked[0]) == ["my team is called Blue", "我喜欢绿茶"]
    assert facts_of(models.asked[1]) == []


def test_a_question_besides_is_answered(ledger: Ledger, models: Models) -> None:
    assert ledger.say("Remember that my dog is called Rex. What should I feed him?") == "answer 1"
    assert facts_of(models.asked[0]) == ["my dog is called Rex"]


def test_facts_are_listed_and_forgotten_one_by_one(ledger: Ledger, models: Models) -> None:
    assert "have not asked me" in ledger.say("/facts")
    for fact in ("I like tea", "I like green", "my team is Blue"):
        ledger.say(f"remember that {fact}")
    ledger.say("remember that I like tea")  # known already
    assert "1. I like tea\n2. I like green\n3. my team is Blue" in ledger.say("/memory")
    assert "Several fit: 1, 2" in ledger.say("/forget I like")
    assert "no such thing" in ledger.say("/forget 4")
    assert "Forgotten: I like green" in ledger.say("/forget GREEN")
    assert "已忘记：I like tea" in ledger.say("/忘记 1")
    assert "1. my team is Blue" in ledger.say("/facts")


def test_forget_forgets_facts_summary_history_and_remote_conversations(ledger: Ledger, models: Models) -> None:
    ledger.say("my secret is 42")
    ledger.say("remember that I live in Rome", conversation="another")
    ledger.say("hello", conversation="another")
    with transaction() as connection:
        conversation_id = connection.execute(select(MessageRow.conversation_id).limit(1)).scalar_one()
        summaries.want(connection, conversation_id, 1)
    assert "everything you asked me to remember (1)" in ledger.say("/forget")
    with reading() as connection:
        assert connection.execute(select(FactRow.id)).all() == []
        assert connection.execute(select(SummaryRow.conversation_id)).all() == []
        assert connection.execute(select(SessionRow.session_id)).all() == []
    ledger.say("who am I?")
    ledger.say("who am I?", conversation="another")  # where it was told
    assert [question.history for question in models.asked[-2:]] == [(), ()]
    assert "nothing you had asked" in ledger.say("/forget all")


def test_what_was_told_in_private_is_not_used_in_groups(ledger: Ledger, models: Models) -> None:
    ledger.say("remember that I look for another job")
    with one_statement() as connection:  # and the same person in a group
        connection.execute(update(MessageRow).values(conversation_kind="one_to_one"))
    group = ledger.receive("who am I?", conversation="group")
    ledger.change(group, conversation_kind="group")
    ledger.run(group, C, G)
    assert facts_of(models.asked[0]) == []


def test_there_is_an_end_to_facts(ledger: Ledger, models: Models, configure: Configure) -> None:
    configure(context=ContextSettings(facts_most=2, facts_tokens=8))
    for text in ("remember that one is one", "remember that two is two"):
        assert "Noted" in ledger.say(text)
    assert "already remember 2" in ledger.say("remember that three is three")
    assert "too long" in ledger.say("/remember " + "x" * 600)
    assert "What shall I" in ledger.say("/remember")
    ledger.say("hello")
    assert facts_of(models.asked[0]) == ["two is two"]  # the budget of the prompt
    configure(context=ContextSettings(facts=False))
    assert ledger.say("remember that three is three") == "answer 2"
    assert facts_of(models.asked[1]) == []
    assert "do not keep facts" in ledger.say("/remember that")


def test_old_facts_and_summaries_are_purged(ledger: Ledger, models: Models) -> None:
    ledger.say("remember that I like tea")
    with transaction() as connection:
        connection.execute(update(FactRow).values(created_at=1))
        summaries.want(connection, 1, 1, now=1)
    app.tasks["mindbot.purge"].apply()
    with reading() as connection:
        assert connection.execute(select(FactRow.id)).all() == []
        assert connection.execute(select(SummaryRow.conversation_id)).all() == []


LONG = "word " * 60  # 75 tokens


def test_what_no_longer_fits_is_summed_up_in_the_background(
    ledger: Ledger, models: Models, configure: Configure
) -> None:
    configure(providers=MODEL, history_tokens=300)
    for number in range(4):
        ledger.say(f"{number} {LONG}")
    assert all(not question.to_sum_up for question in models.asked)
    ledger.say(f"4 {LONG}")
    assert models.asked[-1].to_sum_up == 3  # the older half
    ledger.say(f"5 {LONG}")
    assert models.asked[-1].to_sum_up == 0  # it is on its way
    models.script = ["<think>hm</think>They counted from 0 to 2."]
    assert app.tasks["mindbot.summarise"].apply().result == 1
    told = models.asked[-1]
    assert "User: 0 word" in told.text
    assert "User: 3 word" not in told.text
    assert models.names[-1] == ["provider:openai"]
    with reading() as connection:
        row = connection.execute(select(SummaryRow.text, SummaryRow.input_tokens, SummaryRow.model)).one()
    assert tuple(row) == ("They counted from 0 to 2.", 10, "small")
    ledger.say("and now?")
    assert models.asked[-1].summary == "They counted from 0 to 2."
    assert [turn.text[0] for turn in models.asked[-1].history if turn.role == "user"] == ["3", "4", "5"]
    assert app.tasks["mindbot.summarise"].apply().result == 0
    ledger.say("/new")
    ledger.say("and now?")
    assert models.asked[-1].summary == ""


def test_the_next_summary_goes_on_from_the_last(ledger: Ledger, models: Models, configure: Configure) -> None:
    configure(providers=MODEL, history_tokens=300)
    for number in range(5):
        ledger.say(f"{number} {LONG}")
    models.script = ["first part"]
    app.tasks["mindbot.summarise"].apply()
    for number in range(5, 9):
        ledger.say(f"{number} {LONG}")
    app.tasks["mindbot.summarise"].apply()
    told = models.asked[-1]
    assert told.text.startswith("Summary so far:\nfirst part")
    assert "User: 3 word" in told.text
    assert "User: 0 word" not in told.text


def test_nobody_sums_up_without_a_model_or_when_told_not_to(
    ledger: Ledger, models: Models, configure: Configure
) -> None:
    for changes in ({}, {"providers": MODEL, "context": ContextSettings(summaries=False)}):
        configure(history_tokens=100, **changes)
        for _ in range(3):
            ledger.say(LONG)
        with reading() as connection:
            assert connection.execute(select(SummaryRow.conversation_id)).all() == []


def test_a_summary_that_did_not_work_is_tried_again_later(ledger: Ledger, models: Models, configure: Configure) -> None:
    configure(providers=MODEL, history_tokens=100)
    for _ in range(3):
        ledger.say(LONG)
    models.script = [Unavailable("down", kind="server")]
    assert app.tasks["mindbot.summarise"].apply().result == 0
    assert app.tasks["mindbot.summarise"].apply().result == 0  # not yet
    with one_statement() as connection:
        assert connection.execute(select(SummaryRow.failures)).scalar_one() == 1
        connection.execute(update(SummaryRow).values(due_at=1))
    assert app.tasks["mindbot.summarise"].apply().result == 1


def test_a_long_silence_ends_a_conversation(ledger: Ledger, models: Models, configure: Configure) -> None:
    configure(context=ContextSettings(session_minutes=30))
    ledger.say("one")
    ledger.say("two")
    assert len(models.asked[-1].history) == 2
    assert models.sessions[-1] == {"provider:openai": "session-1"}
    with one_statement() as connection:
        hour_ms = 3_600_000
        connection.execute(
            update(MessageRow).values(
                received_at=MessageRow.received_at - hour_ms, finished_at=MessageRow.finished_at - hour_ms
            )
        )
        connection.execute(update(SessionRow).values(updated_at=SessionRow.updated_at - hour_ms))
    ledger.say("three")
    assert models.asked[-1].history == ()
    assert models.sessions[-1] == {}
    ledger.say("four")
    assert [turn.text for turn in models.asked[-1].history] == ["three", "answer 3"]
    assert models.sessions[-1] == {"provider:openai": "session-1"}


def test_a_prompt_of_the_bot_knows_who_asks(ledger: Ledger, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = BotSettings(system_prompt="You talk to {user_name} on {platform} about {{things}}.")
    monkeypatch.setattr(Settings, "bot", lambda *_: bot)
    ledger.say("hello", sender_name="Ada Lovelace")
    told = models.asked[0].filled(bot.system_prompt)
    assert told == "You talk to Ada Lovelace on stooge about {things}."


def test_answers_are_processed_before_they_are_kept(ledger: Ledger, models: Models, configure: Configure) -> None:
    configure(
        response=ResponseSettings(
            pii=PiiSettings(kinds=["phone"]), words=WordsSettings(questions=["plan b"], answers=["badword"])
        )
    )
    models.script = ["<think>hm</think>Call 13800138000.", "a badword", "<think>nothing</think>"]
    assert ledger.say("my number is 13900139000") == "Call *******8000."
    assert models.asked[0].text == "my number is *******9000"
    assert ledger.say("say it") == "I cannot talk about that here. Please ask me something else."
    assert ledger.say("what about Plan B?") == "I cannot talk about that here. Please ask me something else."
    assert len(models.asked) == 2
    empty = ledger.receive("and?")
    ledger.run(empty, C, G)
    assert ledger.told(empty).message["verdict"] == "failed"
