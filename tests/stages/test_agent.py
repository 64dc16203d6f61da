"""The agent through the stages: in whose processes it runs, and what it does only after a person has said yes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from emulators.running import Emulator
from mindbot_tasks import chains, lanes
from mindbot_tasks.app import app
from mindbot_tasks.core.settings import ChatSettings, Settings, WorkflowSettings
from mindbot_tasks.llm import agent as agents
from mindbot_tasks.llm.agent.tools import catalogue
from mindbot_tasks.model.message import Stage
from mindbot_tasks.plugins.tools import tool
from mindbot_tasks.stores import confirmations, sweeping
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.tables import AnswerRow
from mindbot_tasks.stores.tables_agent import ToolConfirmationRow
from tests.llm.agent.having import agent, provider
from tests.stages.conftest import Configure, Ledger

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
PAY = 'call:pay {"amount": 7}'

paid: list[int] = []


@tool(effects=True)
def pay(amount: int) -> str:
    """Pays."""
    paid.append(amount)
    if amount == 13:
        raise KeyboardInterrupt  # as a process that is killed: nothing after it runs
    return f"paid {amount}"


@pytest.fixture
def having(configure: Configure, openai: Emulator) -> Settings:
    paid.clear()
    return configure(providers={"openai": provider(openai)}, agent=agent(f"{__name__}:pay", "calculator"))


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """This process is not made for agents."""
    agents.serve(False)
    yield
    agents.serve(True)


def told(message_id: int) -> str:
    with reading() as connection:
        return connection.execute(select(AnswerRow.text).where(AnswerRow.message_id == message_id)).scalar_one()


def say(ledger: Ledger, text: str, **fields: Any) -> str:
    """What the bot answers, once it is sent."""
    message_id = ledger.receive(text, **fields)
    ledger.run(message_id, C, G, R)
    assert ledger.state(message_id) == "replied"
    return told(message_id)


def state_of_all() -> list[str]:
    with reading() as connection:
        return list(connection.execute(select(ToolConfirmationRow.state)).scalars())


# where it runs


def test_a_message_for_the_agent_goes_on_in_its_queue(having: Settings, ledger: Ledger, monkeypatch: Any) -> None:
    message_id = ledger.receive("hello")
    links = [
        {"task": f"mindbot.{stage}", "args": [message_id], "kwargs": {}, "options": {}, "immutable": True}
        for stage in (R, G)
    ]
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    app.tasks["mindbot.classify"].apply(args=(message_id,), chain=links)
    chains.send_next_to("agent", links, G)
    assert links[-1]["options"] == {"queue": "agent"} or links == []
    assert lanes.generate_queue(having, "stooge", "default", "general_chat", 0.5) == "agent"


def test_what_is_not_for_the_agent_stays_where_it_was(configure: Configure, openai: Emulator) -> None:
    plain = configure(providers={"openai": provider(openai)})
    assert lanes.generate_queue(plain, "stooge", "default", "general_chat", 0.5) == "generate"
    chosen = configure(
        providers={"openai": provider(openai)}, agent=agent(), chat={"default": ChatSettings(model="mock")}
    )  # fmt: skip
    assert lanes.generate_queue(chosen, "chat", "default", "general_chat", 0.5) == "generate"


def test_nobody_is_asked_about_arguments_that_do_not_fit(having: Settings, ledger: Ledger) -> None:
    both = 'call:pay {"amount": "many"} && call:pay {"amount": 7}'
    assert "wrong arguments: amount" in say(ledger, both)
    assert (state_of_all(), paid) == ([], [])


def test_a_process_that_runs_no_agents_hands_the_message_over_once(
    having: Settings, ledger: Ledger, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Any, ...]] = []
    monkeypatch.setattr(chains, "start", lambda *given, **options: started.append((*given, options)) or True)
    message_id = ledger.receive("hello")
    started.clear()
    ledger.run(message_id, C, G)
    assert started == [(message_id, G, "reply", {"generate_queue": "agent"})]
    assert ledger.state(message_id) == "classified"
    with reading() as connection:
        [due] = sweeping.find_due(connection)
    assert (due.handed_to, due.strikes) == ("agent", 0)
    # as long as the canaries of that queue say that it may still be waiting there, it is left alone
    waits = sweeping.decide(due, through_ms={"generate": 0}, generate_queue=due.handed_to)
    assert isinstance(waits, sweeping.Wait)
    agents.serve(True)
    ledger.run(message_id, G)
    assert told(message_id) == "You said: hello"


def test_the_agent_helps_out_behind_a_workflow_that_is_down(
    configure: Configure, openai: Emulator, ledger: Ledger, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = WorkflowSettings(
        dify_endpoint="http://127.0.0.1:9/v1/chat-messages", dify_api_key="k", task_patterns=["code"]
    )
    given = configure(providers={"openai": provider(openai)}, agent=agent(), workflows={"code_analysis": flow})
    assert lanes.generate_queue(given, "stooge", "default", "code_analysis", 0.9) == "generate"
    message_id = ledger.receive("code please")
    monkeypatch.setattr(chains, "start", lambda *_, **__: True)
    ledger.run(message_id, C, G)
    assert ledger.state(message_id) == "classified"
    agents.serve(True)
    # it came by the agent's queue, so nobody waits for the workflow again
    task = app.tasks["mindbot.generate"]
    task.apply(args=(message_id,), routing_key="agent")
    assert told(message_id) == "You said: code please"
    with reading() as connection:
        details = connection.execute(select(AnswerRow.details)).scalar_one()
    assert [each["answerer"] for each in details["tries"]] == ["agent"]


# a person says yes


def test_what_has_effects_is_done_once_after_a_yes(having: Settings, ledger: Ledger) -> None:
    asked = say(ledger, PAY)
    assert '"amount": 7' in asked
    assert "yes" in asked
    assert paid == []
    assert say(ledger, "Yes!") == "You said: the tools said: paid 7"
    assert paid == [7]
    assert state_of_all() == ["done"]
    assert say(ledger, "yes") == "You said: yes"  # there is nothing left to confirm
    assert paid == [7]


@pytest.mark.parametrize("answer", ["no", "不", "yes but 8", "what?"])
def test_anything_else_means_no_for_good(having: Settings, ledger: Ledger, answer: str) -> None:
    say(ledger, PAY)
    say(ledger, answer)
    say(ledger, "yes")
    assert paid == []


def test_nobody_else_can_say_yes(having: Settings, ledger: Ledger) -> None:
    say(ledger, PAY)
    say(ledger, "yes", sender_id="somebody")
    say(ledger, "yes", conversation="elsewhere")
    assert paid == []
    say(ledger, "yes")
    assert paid == [7]


def test_a_yes_that_comes_too_late_does_nothing(having: Settings, ledger: Ledger) -> None:
    say(ledger, PAY)
    with one_statement() as connection:
        connection.execute(update(ToolConfirmationRow).values(expires_at=1))
    say(ledger, "yes")
    assert paid == []


def test_only_what_was_really_said_can_be_confirmed(having: Settings, ledger: Ledger) -> None:
    say(ledger, PAY)
    with one_statement() as connection:
        connection.execute(update(AnswerRow).values(details={}))  # another try has answered something else
    say(ledger, "yes")
    assert paid == []


def test_a_yes_in_a_process_that_runs_no_agents_is_handed_over(
    having: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(ledger, PAY)
    message_id = ledger.receive("yes")
    monkeypatch.setattr(chains, "start", lambda *_, **__: True)
    agents.serve(False)
    try:
        ledger.run(message_id, C, G)
    finally:
        agents.serve(True)
    assert paid == []
    ledger.run(message_id, G)
    assert paid == [7]


def test_of_two_at_the_same_time_one_does_it(having: Settings, ledger: Ledger) -> None:
    say(ledger, PAY)
    message_id = ledger.receive("yes")
    ledger.run(message_id, C)
    with reading() as connection:
        found = confirmations.waiting(connection, message_id)
    assert found is not None
    taken: list[bool] = []

    def take() -> None:
        with one_statement() as connection:
            taken.append(confirmations.take(connection, found, decided_by=message_id))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_what_was_cut_off_in_the_middle_is_not_done_again(having: Settings, ledger: Ledger) -> None:
    say(ledger, 'call:pay {"amount": 13}')
    message_id = ledger.receive("yes")
    ledger.run(message_id, C)
    with pytest.raises(KeyboardInterrupt):
        ledger.run(message_id, G)
    ledger.change(message_id, lease_owner=None, lease_until=None)  # the worker is dead, and the sweeper has seen it
    ledger.run(message_id, G)
    assert paid == [13]
    assert "interrupted" in told(message_id)


def test_what_was_done_is_told_even_when_no_model_can(having: Settings, ledger: Ledger, openai: Emulator) -> None:
    say(ledger, PAY)
    openai.control.fault("status", status=500, always=True)
    assert say(ledger, "是") == "已完成:pay。\n\n> paid 7"
    assert paid == [7]


def test_a_retry_after_the_deed_only_tells_it(having: Settings, ledger: Ledger) -> None:
    say(ledger, PAY)
    message_id = ledger.receive("yes")
    ledger.run(message_id, C, G)
    ledger.change(message_id, state="classified")  # as if the answer had not been saved
    ledger.run(message_id, G)
    assert paid == [7]
    assert told(message_id) == "You said: the tools said: paid 7"


def test_arguments_that_cannot_be_shown_whole_are_not_asked_for(having: Settings, ledger: Ledger) -> None:
    message_id = ledger.receive('call:pay {"amount": 1, "why": "' + "x" * 5000 + '"}')
    ledger.run(message_id, C, G)
    assert state_of_all() == []
    assert catalogue.toolset(having, agents._NO_WISHES).tools["pay"].effects
