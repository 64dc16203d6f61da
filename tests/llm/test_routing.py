"""The strategies of routing as tables, and how people are divided between variants."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import registry, variants
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.routing import Ways, arrange, assigned
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores import performance
from mindbot_tasks.stores.performance import Seen

ALL: Ways[str] = Ways((), "flow", "agent", ("dify",), ("openai", "dify", "glm"), "general")


@pytest.mark.parametrize(
    ("strategy", "sure", "order"),
    [
        ("tool-first", True, "agent flow dify openai glm general"),
        ("tool-first", False, "agent flow dify openai glm general"),
        ("workflow-first", True, "flow agent dify openai glm general"),
        ("workflow-first", False, "flow agent dify openai glm general"),
        ("hybrid", True, "flow agent dify openai glm general"),
        ("hybrid", False, "agent flow dify openai glm general"),
    ],
)
def test_each_strategy_has_its_order(strategy: Any, sure: bool, order: str) -> None:
    assert arrange(ALL, strategy, sure=sure) == order.split()


@pytest.mark.parametrize(
    ("ways", "sick", "order"),
    [
        (Ways((), "flow", None, ("dify",), ("openai", "dify"), "general"), "", "flow openai dify general"),
        (Ways((), None, "agent", (), ("openai",), "general"), "", "agent openai general"),
        (Ways(("big",), "flow", "agent", (), (), None), "", "big flow agent"),
        (Ways((), None, None, (), (), None), "", ""),
        (ALL, "flow", "agent dify openai glm general flow"),
        (ALL, "flow general", "agent dify openai glm flow general"),
        (Ways((), "flow", None, (), (), None), "flow", "flow"),
    ],
)
def test_who_is_missing_is_left_out_and_who_is_sick_comes_last(ways: Ways[str], sick: str, order: str) -> None:
    assert arrange(ways, "workflow-first", sure=True, is_sick=lambda name: name in sick.split()) == order.split()


def test_without_fallback_there_is_one_way_and_it_is_not_the_sick_one() -> None:
    assert arrange(ALL, "hybrid", sure=True, fallback=False) == ["flow"]
    assert arrange(ALL, "hybrid", sure=True, fallback=False, is_sick=lambda name: name == "flow") == ["agent"]


WEIGHTS = st.dictionaries(st.text(max_size=8), st.floats(0, 1e6), max_size=5)


@given(weights=WEIGHTS, person=st.text(max_size=30), salt=st.text(max_size=10))
def test_a_person_always_gets_the_same_variant_and_never_one_of_weight_zero(
    weights: dict[str, float], person: str, salt: str
) -> None:
    found = assigned(weights, person, salt)
    assert found == assigned(dict(reversed(weights.items())), person, salt)
    assert weights[found] > 0 if sum(weights.values()) > 0 else found == ""


@given(a=st.floats(0.1, 10), b=st.floats(0.1, 10), salt=st.text(max_size=10))
def test_people_are_divided_by_the_weights(a: float, b: float, salt: str) -> None:
    people = 2000
    got = Counter(assigned({"a": a, "b": b}, f"dingtalk:user{number}", salt) for number in range(people))
    share = a / (a + b)
    assert abs(got["a"] / people - share) < 6 * (share * (1 - share) / people) ** 0.5 + 0.001


def test_another_experiment_divides_people_anew() -> None:
    people = [f"u{number}" for number in range(400)]
    first, second = ([assigned({"a": 1, "b": 1}, one, salt) for one in people] for salt in ("one", "two"))
    assert 120 < sum(one == other for one, other in zip(first, second, strict=True)) < 280


FLOW = {"dify_endpoint": "https://d.example/v1/chat-messages", "dify_api_key": "k"}
MODEL = {"api_key": "k", "models": ["m"]}


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def order(given: Settings, confidence: float = 0.9, person: str = "", wishes: Wishes | None = None) -> list[str]:
    kind = Classification("code_analysis", confidence, "")
    return [way.answerer.name for way in registry.route(given, kind, wishes or Wishes(), person).ways]


def two_flows(**agent: Any) -> Settings:
    return settings(
        providers={"openai": MODEL, "dify": {"api_key": "k"}},
        workflows={"general_chat": FLOW, "code_analysis": FLOW},
        agent={"langchain": {"primary_provider": "openai"}, **agent},
    )


@pytest.mark.parametrize(
    ("agent", "confidence", "first"),
    [
        ({}, 0.9, ["workflow:code_analysis", "agent"]),
        ({}, 0.5, ["agent", "workflow:code_analysis"]),
        ({"workflows": {"confidence_threshold": 0.4}}, 0.5, ["workflow:code_analysis", "agent"]),
        ({"workflows": {"routing_strategy": "tool-first"}}, 0.9, ["agent", "workflow:code_analysis"]),
        ({"workflows": {"routing_strategy": "workflow-first"}}, 0.1, ["workflow:code_analysis", "agent"]),
    ],
)
def test_the_settings_choose_the_strategy(agent: Any, confidence: float, first: list[str], healthy: None) -> None:
    rest = ["provider:dify", "provider:openai", "workflow:general_chat"]
    assert order(two_flows(**agent), confidence) == [*first, *rest]


@pytest.mark.parametrize("where", ["workflows", "integration"])
def test_fallback_can_be_switched_off(where: str, healthy: None) -> None:
    assert order(two_flows(**{where: {"fallback_enabled": False}})) == ["workflow:code_analysis"]


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "seen", lambda _names, **_: {})


def test_a_sick_workflow_goes_behind_the_others_and_is_probed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "seen", lambda names, **_: dict.fromkeys(names, Seen(20, 2, 0, sick=True)))
    monkeypatch.setattr(registry.random, "random", lambda: 0.5)
    given = settings(providers={"openai": MODEL}, workflows={"code_analysis": FLOW})
    assert order(given) == ["provider:openai", "workflow:code_analysis"]
    unmeasured = settings(
        providers={"openai": MODEL},
        workflows={"code_analysis": FLOW},
        agent={"integration": {"performance_tracking": False}},
    )
    assert order(unmeasured) == ["workflow:code_analysis", "provider:openai"]
    monkeypatch.setattr(registry.random, "random", lambda: 0.01)
    assert order(given) == ["workflow:code_analysis", "provider:openai"]
    assert registry.route(given, Classification("code_analysis", 1, "")).probed == ("workflow:code_analysis",)
    told = registry.route(given, Classification("code_analysis", 1, ""), probing=False)  # as `mindbot explain` asks
    assert (told.probed, told.sick) == ((), ("workflow:code_analysis",))


def experiment(**variants: Any) -> Settings:
    flow = {**FLOW, "variants": variants}
    return settings(workflows={"code_analysis": flow, "code_v2": FLOW, "general_chat": FLOW})


def person_with(given: Settings, variant: str) -> str:
    return next(
        person
        for person in (f"chat:u{number}" for number in range(1000))
        if variants.variant_of(given, "code_analysis", person) == variant
    )


def test_each_person_is_answered_by_their_variant(healthy: None) -> None:
    given = experiment(a={}, b={"dify_api_key": "k2"}, c={"workflow": "code_v2", "weight": 2})
    firsts = {name: order(given, person=person_with(given, name))[0] for name in ("a", "b", "c")}
    assert firsts == {"a": "workflow:code_analysis", "b": "workflow:code_analysis/b", "c": "workflow:code_v2"}
    b = registry.route(given, Classification("code_analysis", 1, ""), person=person_with(given, "b"))
    assert (b.variant, b.variant_answerer) == ("code_analysis/b", "workflow:code_analysis/b")
    assert order(given)[0] == "workflow:code_analysis", "of whom nobody knows who it is, nothing is tried out"


def test_who_would_have_answered_is_known_without_asking() -> None:
    given = experiment(a={}, b={"dify_api_key": "k2"}, c={"workflow": "code_v2"})
    for name, answerer in (("a", "code_analysis"), ("b", "code_analysis/b"), ("c", "code_v2")):
        found = variants.supposed(given, "code_analysis", person_with(given, name))
        assert found == (f"workflow:{answerer}", f"code_analysis/{name}")
    assert variants.supposed(given, "general_chat", "chat:u1") == ("workflow:general_chat", "")
    assert variants.supposed(given, "unheard of", "chat:u1") == ("", "")


def test_a_workflow_that_waits_for_somebody_hears_them_whatever_the_strategy_says(healthy: None) -> None:
    given = experiment(a={}, b={"dify_api_key": "k2"})
    asked = Classification("general_chat", 0.9, "")
    person = person_with(given, "a")
    found = registry.route(given, asked, person=person, waiting="code_analysis/b")
    assert found.ways[0].answerer.name == "workflow:code_analysis/b"
    agents = two_flows(workflows={"routing_strategy": "tool-first"})
    assert registry.route(agents, asked, waiting="code_analysis").ways[0].answerer.name == "workflow:code_analysis"


def test_hybrid_asks_the_agent_first_where_no_workflow_is_made_for_the_message(healthy: None) -> None:
    general = registry.route(two_flows(), Classification("general_chat", 1.0, ""))
    assert [way.answerer.name for way in general.ways][:2] == ["agent", "workflow:general_chat"]
