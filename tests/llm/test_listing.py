"""Lists of models and pings, for each kind of provider."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import ProviderSettings
from mindbot_tasks.llm.listing import Caller, Listed, is_listed


def caller(name: str, far: Emulator, path: str = "", **more: Any) -> Caller:
    provider = {"api_key": "k", "base_url": far.url + path, "models": ["m"], "bot_id": "7", **more}
    return Caller(name, ProviderSettings.model_validate(provider))


@pytest.mark.parametrize(
    ("name", "emulator", "path", "model"),
    [
        ("openai", "openai", "/v1", "mock-model"),
        ("anthropic", "anthropic", "", "mock-model"),
        ("gemini", "gemini", "", "mock-model"),
        ("ollama", "ollama", "", "mock-model:latest"),
    ],
)
def test_each_lists_its_models(request: pytest.FixtureRequest, name: str, emulator: str, path: str, model: str) -> None:
    far = request.getfixturevalue(emulator)
    assert caller(name, far, path).models(Deadline(30)) == (Listed(model),)
    assert caller(name, far, path).ping(Deadline(30)).ok


@pytest.mark.parametrize(
    ("name", "emulator"),
    [("openai", "openai"), ("anthropic", "anthropic"), ("gemini", "gemini"), ("ollama", "ollama"), ("coze", "coze")],
)
def test_a_wrong_key_and_a_sick_server_are_told_apart(request: pytest.FixtureRequest, name: str, emulator: str) -> None:
    far = request.getfixturevalue(emulator)
    far.control.fault("status", status=401, body={})
    with pytest.raises(Rejected) as caught:
        caller(name, far).ping(Deadline(30))
    assert caught.value.kind == "auth"
    far.control.fault("status", status=503, body="busy")
    with pytest.raises(Unavailable):
        caller(name, far).ping(Deadline(30))


def test_coze_says_no_with_200(coze: Emulator) -> None:
    assert caller("coze", coze, "/v1").ping(Deadline(30)).ok
    assert caller("coze", coze).models(Deadline(30)) is None
    coze.control.fault("status", status=200, body={"code": 4100, "msg": "no"})
    with pytest.raises(Rejected) as caught:
        caller("coze", coze).ping(Deadline(30))
    assert caught.value.kind == "auth"


def test_vllm_without_a_key_has_a_health_page(openai: Emulator) -> None:
    assert caller("mine", openai, type="vllm", api_key=None).ping(Deadline(30)).ok
    assert openai.control.calls()[0]["path"] == "/health"


def test_a_list_of_many_pages_is_read_to_its_end(anthropic: Emulator, gemini: Emulator) -> None:
    first = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}
    anthropic.control.fault("status", status=200, body=first)
    assert [each.name for each in caller("anthropic", anthropic).models(Deadline(30)) or ()] == ["a", "mock-model"]
    gemini.control.fault("status", status=200, body={"models": [{"name": "models/a"}], "nextPageToken": "x"})
    assert [each.name for each in caller("gemini", gemini).models(Deadline(30)) or ()] == ["a", "mock-model"]


def test_a_list_that_never_ends_is_not_read_for_ever(openai: Emulator) -> None:
    page = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}
    openai.control.fault("status", status=200, body=page, always=True)
    assert len(caller("openai", openai, "/v1").models(Deadline(10)) or ()) <= 50


@pytest.mark.parametrize("body", [[], {"data": 5}, "a page", {"data": ["x", 5]}, {"data": [{"id": None}]}])
def test_odd_lists_are_an_error_or_empty(openai: Emulator, body: Any) -> None:
    openai.control.fault("status", status=200, body=body)
    try:
        assert caller("openai", openai, "/v1").models(Deadline(30)) == ()
    except Unavailable as exc:
        assert exc.kind == "protocol"  # noqa: PT017 - either is fine


def test_the_day_on_which_a_model_ends_is_read(openai: Emulator) -> None:
    data = [
        {"id": "a", "shutdown_date": "2027-01-14"},
        {"id": "b", "shutdown_date": None},
        {"id": "c", "shutdown_date": 5},
    ]
    openai.control.fault("status", status=200, body={"data": data})
    listed = caller("openai", openai, "/v1").models(Deadline(30))
    assert listed == (Listed("a", date(2027, 1, 14)), Listed("b"), Listed("c"))


def test_ollama_lists_what_is_asked_for_without_its_tag() -> None:
    listed = (Listed("llama3:latest"), Listed("qwen3:8b"))
    assert is_listed("llama3", listed) == listed[0]
    assert is_listed("qwen3:8b", listed) == listed[1]
    assert is_listed("qwen3", listed) is None
