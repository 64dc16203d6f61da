"""Providers: several keys, what the agent's section adds, old models, and servers of one's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mindbot_tasks.core.settings import InvalidSettings, ProviderSettings
from tests.core.settings_files import Files, files

__all__ = ["files"]


def keys_of(provider: ProviderSettings) -> list[str]:
    return [key.get_secret_value() for key in provider.api_keys]


@pytest.mark.parametrize(
    "written",
    [
        "api_key: [a, b]",
        "api_keys: [a, b]",
        "api_key: a, api_keys: [b]",
        "api_key: [a], api_keys: [b, a]",
        'api_key: "a, b"',
        'api_keys: ["${A}", "${B}"]',
        'api_key: ["${A}", "${B}", "${GONE}"]',
        'api_key: "${BOTH}"',
    ],
)
def test_keys_can_be_written_in_many_ways(files: Files, written: str) -> None:
    given = files.load(f"providers: {{openai: {{{written}, models: [m]}}}}", A="a", B="b", BOTH="a,b")
    provider = given.providers["openai"]
    assert keys_of(provider) == ["a", "b"]
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "a"
    assert given.off == ({"providers.openai.api_keys.2": "GONE is not set"} if "GONE" in written else {})


def test_without_any_key_the_provider_is_off_and_says_which_were_wanted(files: Files) -> None:
    given = files.load('providers: {openai: {api_key: ["${A}", "${B}"], models: [m]}}')
    assert given.providers == {}
    assert given.off == {"providers.openai": "A, B are not set"}


def test_a_wrong_key_is_not_shown(files: Files) -> None:
    with pytest.raises(InvalidSettings) as caught:
        files.load("providers: {openai: {api_key: [a, 20250101], models: [m]}}")
    assert "20250101" not in str(caught.value)
    assert "api_key" in str(caught.value)


def test_keys_are_in_no_representation(files: Files) -> None:
    given = files.load("providers: {openai: {api_key: [sk-one, sk-two], models: [m]}}")
    assert "sk-" not in repr(given)
    assert "sk-" not in given.model_dump_json()


def test_what_the_agent_says_of_a_provider_fills_the_gaps(files: Files) -> None:
    text = """
        providers:
          openai: {api_key: k, models: [{name: m, max_tokens: 7}], timeout: 9}
          coze: {base_url: "https://api.coze.com"}
        agent:
          providers:
            openai: {api_key: other, models: [m, n], timeout: 5, weight: 3}
            coze: {api_key: pat, bot_id: "7"}
            deepseek: {api_key: k, models: [deepseek-flash]}
    """
    given = files.load(text)
    openai, coze = given.providers["openai"], given.providers["coze"]
    assert (keys_of(openai), openai.timeout, openai.weight) == (["k"], 9, 3)
    assert [(model.name, model.max_tokens) for model in openai.models] == [("m", 7), ("n", 4096)]
    assert (keys_of(coze), coze.bot_id) == (["pat"], "7")
    assert "deepseek" in given.providers
    assert given.off == {}


def test_the_agents_missing_variable_does_not_switch_off_what_works_without(files: Files) -> None:
    text = """
        providers: {openai: {api_key: k, models: [m]}}
        agent: {providers: {openai: {api_key: "${GONE}", base_url: "${GONE}"}}}
    """
    assert set(files.load(text).providers) == {"openai"}


@pytest.mark.parametrize(
    "provider",
    [
        'openai: {base_url: "http://10.0.0.1/v1", models: [gpt-4]}',
        'chatglm: {base_url: "http://10.0.0.1/v1", models: [chatglm3-6b]}',
        "mine: {type: vllm, base_url: 'http://10.0.0.1/v1', models: [gpt-3.5-turbo]}",
        "ollama: {models: [chatglm3]}",
    ],
)
def test_a_server_of_ones_own_may_serve_what_it_likes(files: Files, provider: str) -> None:
    given = files.load(f"providers: {{{provider}}}")
    assert (len(given.providers), list(given.warnings), given.off) == (1, [], {})


def test_the_vendor_is_known_by_its_address_too(files: Files) -> None:
    text = (
        'providers: {mine: {type: openai, base_url: "https://api.deepseek.com", api_key: k, models: [deepseek-chat]}}'
    )
    [warning] = files.load(text).warnings
    assert "deepseek-flash" in warning.text()


def test_a_day_to_come_is_warned_of_in_time_and_in_both_languages(files: Files) -> None:
    day = datetime(2027, 4, 1, tzinfo=UTC)
    left = (day - datetime.now(UTC)).days
    text = "providers: {openai: {api_key: k, models: [gpt-5.1]}}\nprovider_selection: {shutdown_warning_days: %d}"
    if left <= 2:
        pytest.skip("this day has come")
    assert not files.load(text % (left - 2)).warnings
    [warning] = files.load(text % (left + 2)).warnings
    assert "2027-04-01" in warning.text()
    assert "停止服务" in warning.text("zh")


@pytest.mark.parametrize(("written", "wanted"), [("disabled", False), ("enabled", True), ("true", True), ("no", False)])
def test_thinking_takes_the_words_of_the_vendors(files: Files, written: str, wanted: bool) -> None:
    given = files.load(f"providers: {{zhipu: {{api_key: k, models: [{{name: glm-5.3, thinking: {written}}}]}}}}")
    assert given.providers["zhipu"].models[0].thinking is wanted


@pytest.mark.parametrize("name", ["deepseek", "qwen", "kimi", "zhipu", "openrouter"])
def test_every_hosted_vendor_needs_a_key(files: Files, name: str) -> None:
    assert files.load(f"providers: {{{name}: {{models: [m]}}}}").off == {f"providers.{name}": "api_key is not given"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("mine/big", None),
        ("BIG", None),
        ("mine", None),
        ("mine/bog", "chat.model: mine/bog is not among the models of the configured providers, so the usual ones"
         " answer (did you mean mine/big?)"),
    ],
)  # fmt: skip
def test_a_bots_model_that_no_provider_has_is_told(files: Files, wanted: str, told: str | None) -> None:
    given = files.load(
        "providers: {mine: {type: openai, api_key: k, base_url: 'http://h/v1', models: [{name: big}, small]}}\n"
        f"chat: {{secrets: [whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa], model: {wanted}}}\n"
    )
    assert [warning.text().partition(": ")[2] for warning in given.warnings] == ([] if told is None else [told])


def test_other_models_by_name_are_looked_for_as_well(files: Files) -> None:
    given = files.load("context: {summary_model: x}\nbudgets: {cheaper_model: y, user: {cost: 1}}")
    assert [warning.path for warning in given.warnings] == ["context.summary_model", "budgets.cheaper_model"]
