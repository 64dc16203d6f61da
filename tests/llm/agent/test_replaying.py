"""Calls of tools in earlier turns: the agent's model gets them as calls, others in a few words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage

from emulators.running import Emulator
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.llm.agent import models, replaying
from mindbot_tasks.llm.dify import inputs
from mindbot_tasks.llm.sharing import told_to, with_news
from mindbot_tasks.model.answer import Turn
from tests.llm.agent import test_agent
from tests.llm.agent.test_agent import TWO_PLUS_TWO, ask, having
from tests.llm.asking import question

pytestmark = pytest.mark.usefixtures("shared")
HERE = test_agent.__name__


@pytest.fixture(autouse=True)
def _nothing_ran() -> Iterator[None]:
    test_agent.ran.clear()
    yield
    models.forget()


@pytest.fixture(params=["openai", "anthropic", "gemini", "ollama"])
def vendor(request: pytest.FixtureRequest) -> tuple[str, Emulator]:
    return request.param, request.getfixturevalue(request.param)


def after(tools: Any, text: str = "It is 4.") -> tuple[Turn, ...]:
    """What was said before, with these calls behind the answer."""
    return (Turn("user", "how much?", 7), Turn("assistant", text, 7, "agent", tuple(tools)))


def a_call(tool: str = "calculator", result: str = "the-kept-result", **more: Any) -> dict[str, Any]:
    kept = replaying.record({"expression": "2+2"}, result, within=1, outside=False)
    return {"tool": tool, "outcome": "ok", **kept, **more}


def test_the_calls_of_an_answer_are_told_to_every_vendor_with_a_later_question(vendor: tuple[str, Emulator]) -> None:
    kind, far = vendor
    given = having(far, kind=kind)
    rounds = f'{TWO_PLUS_TWO}\ncall:calculator {{"expression": "3*3"}} && call:calculator {{"expression": "5*5"}}'
    steps: Any = ask(given, rounds).details["tools"]
    assert (steps[0]["args"], steps[0]["result"], steps[0]["round"]) == ({"expression": "2+2"}, "4", 1)
    assert {one["round"] for one in steps[1:]} == {2}
    steps[0]["result"] = "the-kept-result"
    assert ask(given, "and now?", history=after(steps)).text == "You said: and now?"
    far.control.fault("status", status=400, contains="the-kept-result", always=True)
    with pytest.raises(Rejected):
        ask(given, "and now?", history=after(steps))


def test_each_call_stands_before_its_result_by_rounds() -> None:
    calls = [a_call(), a_call(round=2), a_call(round=2, outcome="failed")]
    messages, strange = replaying.messages(after(calls), lambda tool, text: text)
    assert [type(one).__name__ for one in messages] == [
        "HumanMessage", "AIMessage", "ToolMessage", "AIMessage", "ToolMessage", "ToolMessage", "AIMessage",
    ]  # fmt: skip
    assert not strange
    asked = [call["id"] for one in messages if isinstance(one, AIMessage) for call in one.tool_calls]
    answered = [one.tool_call_id for one in messages if isinstance(one, ToolMessage)]
    assert asked == answered
    assert len(set(asked)) == 3
    assert [one.status for one in messages if isinstance(one, ToolMessage)] == ["success", "success", "error"]


def test_records_of_an_older_mindbot_are_no_calls_to_tell() -> None:
    messages, _ = replaying.messages(after([{"tool": "calculator", "outcome": "ok", "ms": 3}]), lambda *_: "")
    assert [type(one).__name__ for one in messages] == ["HumanMessage", "AIMessage"]


def test_strangers_words_of_an_earlier_turn_are_marked_again_and_tools_with_effects_ask(openai: Emulator) -> None:
    kept = a_call("page", test_agent.INJECTIONS["plain"], outside=True)
    messages, strange = replaying.messages(after([kept]), lambda tool, text: f"<{tool}>{text}</{tool}>")
    assert strange
    assert str(messages[2].content).startswith("<page>call:pay")
    given = having(openai, f"{HERE}:page", f"{HERE}:pay", model="gullible", rules={"trusted": ["pay"]})
    with pytest.MonkeyPatch.context() as patch:
        from mindbot_tasks.llm.agent import running as answering

        patch.setattr(answering, "_ask", lambda _s, _q, wanted: ("may I?", {}))
        assert ask(given, 'call:pay {"amount": 3}', history=after([kept])).text == "may I?"
        assert ask(given, 'call:pay {"amount": 3}').text.startswith("You said")
    assert test_agent.ran == ["paid 3"]


@generated(
    st.one_of(st.none(), st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=900), max_size=9)), st.text()
)
def test_a_record_is_short_whatever_was_called(arguments: Any, result: str) -> None:
    kept: Any = replaying.record(arguments, result * 50, within=1, outside=True)
    assert len(str(kept["args"])) < 3000
    assert len(kept["result"]) <= replaying.MOST_RESULT_CHARS + 1
    replaying.messages(after([{"tool": "x", "outcome": "ok", **kept}]), lambda tool, text: text)


def test_a_model_without_tools_is_told_the_calls_in_a_line() -> None:
    asked = question("so?", history=after([a_call(), a_call("page", "words of a stranger", outside=True)]))
    told = told_to("provider:openai", asked, "").history
    assert told[0].role == "system"
    assert 'calculator({"expression":"2+2"}) → the-kept-result; page({"expression":"2+2"})' in told[0].text
    assert "stranger" not in told[0].text
    assert told_to("agent", asked, "") is asked


def test_an_app_is_told_the_calls_in_a_line() -> None:
    asked = question("so?", history=after([a_call(outcome="failed"), a_call()]))
    line = '(tools used: calculator({"expression":"2+2"}) failed; calculator({"expression":"2+2"}) → the-kept-result)'
    assert line in with_news(asked, "workflow:code", knows=True)
    assert line in inputs.history(asked)
