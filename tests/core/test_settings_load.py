"""What loads: the promised vocabulary, variables, bots in three forms, and what is off with its reason."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from mindbot_tasks.core.settings import Settings, get_settings, reset_settings
from mindbot_tasks.core.settings.load import load
from mindbot_tasks.core.settings.problems import InvalidSettings
from tests.core.settings_files import VOCABULARY, Files, files

__all__ = ["files"]

REFERENCE = (VOCABULARY / "mindbot.reference.yaml").read_text(encoding="utf-8")
EVERY_VARIABLE = {name: "value-of-" + name.lower() for name in re.findall(r"\$\{(\w+)\}", REFERENCE)}


def test_the_reference_loads_without_any_variable_and_says_what_is_off(files: Files) -> None:
    settings = files.load(REFERENCE)
    assert settings.off["providers.openai"] == "OPENAI_API_KEY is not set"
    assert settings.off["workflows.research"] == "DIFY_RESEARCH_API_KEY is not set"
    assert settings.off["alert_manager.sms.providers.aws_sns"] == "AWS_ACCESS_KEY, AWS_SECRET_KEY are not set"
    assert settings.providers == {}
    assert settings.dingtalk["default"].enable_stream_reply is True
    assert settings.wecom["default"].encoding_aes_key.get_secret_value() == "your_encryption_key"


def test_the_reference_takes_effect_when_every_variable_is_set(files: Files) -> None:
    settings = files.load_env(REFERENCE, EVERY_VARIABLE)
    assert settings.off == {}
    assert set(settings.providers) == {"openai", "dify", "coze", "chatglm", "anthropic", "google"}
    assert settings.providers["openai"].rate_limit == 60
    assert settings.providers["dify"].workflows[1].workflow_id == "workflow_456"
    assert settings.provider_selection.strategy == "round_robin"
    assert settings.workflows["code_analysis"].task_patterns[2] == r"python|javascript|java|c\+\+|sql"
    assert settings.agent is not None
    assert settings.agent.langchain is not None
    assert settings.agent.langchain.tools[-1] == "web_search"
    assert [model.name for model in settings.agent.providers["openai"].models] == ["gpt-4", "gpt-3.5-turbo"]
    assert settings.alert_manager is not None
    assert settings.alert_manager.rules["dify_api_down"].escalation_timeout == 600
    assert settings.alert_manager.recipients["team"][0].escalation_level == 3
    assert settings.chromadb is not None
    assert settings.chromadb.chunk_overlap == 200


def test_both_names_of_a_key_with_the_same_value_are_one(files: Files) -> None:
    settings = files.load("agent: {langchain: {primary_provider: openai, provider: openai}}")
    assert settings.agent is not None
    assert settings.agent.langchain is not None
    assert settings.agent.langchain.primary_provider == "openai"
    with pytest.raises(InvalidSettings, match="another name"):
        files.load("agent: {langchain: {primary_provider: openai, provider: ollama}}")


def test_one_missing_variable_switches_off_only_its_own_item(files: Files) -> None:
    settings = files.load_env(REFERENCE, {k: v for k, v in EVERY_VARIABLE.items() if k != "DIFY_CODE_API_KEY"})
    assert set(settings.off) == {"workflows.code_analysis", "agent.workflows.workflows.code_analysis"}
    assert len(settings.workflows) == 5


def test_the_short_form_of_the_agent_is_equally_valid(files: Files) -> None:
    settings = files.load((VOCABULARY / "agent.integrated.yaml").read_text(encoding="utf-8"))
    assert settings.agent is not None
    assert settings.agent.langchain is not None
    assert settings.agent.langchain.primary_provider == "openai"
    assert settings.agent.workflows is not None
    assert settings.agent.workflows.fallback_enabled is True


def test_the_promised_variables_fill_aim_dify_and_the_log(files: Files) -> None:
    env = {k: v or "" for k, v in dotenv_values(VOCABULARY / "env.reference").items()}
    settings = files.load_env(None, env)
    bot = settings.aim["default"]
    assert (bot.username, bot.server, bot.port) == ("botname", "aim.example.org", 5190)
    assert settings.providers["dify"].base_url == "http://127.0.0.1:5001/v1"
    assert (settings.log_level, settings.log_file) == ("DEBUG", "mindbot.log")


def test_half_an_aim_account_in_the_environment_is_off_and_not_an_error(files: Files) -> None:
    settings = files.load(None, AIM_USERNAME="bot", AIM_SERVER="aim.example.org")
    assert settings.aim == {}
    assert settings.off == {"aim": "AIM_PASSWORD is not set"}


def test_nothing_configured_is_a_valid_configuration(files: Files) -> None:
    settings = files.load()
    assert settings.off == {}
    assert settings.warnings == ()
    assert settings.home == files.folder / "var"
    assert settings.database_url.get_secret_value() == f"sqlite:///{files.folder / 'var' / 'mindbot.db'}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("dingtalk: {client_id: a, client_secret: s}", {"default"}),
        (
            "dingtalk: [{client_id: a, client_secret: s}, {client_id: b, client_secret: s, robot_name: bee}]",
            {"a", "bee"},
        ),
        (
            "dingtalk: {sales: {client_id: a, client_secret: s}, help: {client_id: b, client_secret: s}}",
            {"sales", "help"},
        ),
        ("dingtalk:", set()),
    ],
)
def test_bots_are_written_alone_in_a_list_or_by_name(files: Files, text: str, names: set[str]) -> None:
    assert set(files.load(text).dingtalk) == names


def test_bots_without_a_name_go_by_their_position(files: Files) -> None:
    assert set(files.load("chat: [{secrets: [a]}, {secrets: [b]}]").chat) == {"0", "1"}


def test_one_bot_of_several_can_be_off(files: Files) -> None:
    text = """
        dingtalk:
          sales: {client_id: a, client_secret: "${SALES_SECRET}"}
          help: {client_id: b, client_secret: s}
          old: {client_id: c, client_secret: s, enabled: false}
    """
    settings = files.load(text)
    assert set(settings.dingtalk) == {"help"}
    assert settings.off == {"dingtalk.sales": "SALES_SECRET is not set", "dingtalk.old": "enabled: false"}


def test_the_single_bot_is_off_under_the_name_of_its_platform(files: Files) -> None:
    assert files.load('wecom: {corpid: "${CORP}"}').off == {"wecom": "CORP is not set"}


def test_a_missing_variable_outside_of_items_leaves_the_default(files: Files) -> None:
    settings = files.load('web: {port: "${WEB_PORT}"}')
    assert settings.web.port == 8000
    assert settings.off == {"web.port": "WEB_PORT is not set; the default is used"}


def test_a_variable_gives_numbers_and_booleans(files: Files) -> None:
    settings = files.load('web: {port: "${P}"}\nproduction: ${PROD:-true}', P="9001")
    assert settings.web.port == 9001
    assert settings.production is True


def test_hosted_vendors_without_a_key_are_off_and_servers_of_ones_own_are_on(files: Files) -> None:
    settings = files.load("providers: {openai: {}, local: {type: openai, base_url: 'http://127.0.0.1:1/v1/'}}")
    assert settings.off == {"providers.openai": "api_key is not given"}
    assert settings.providers["local"].base_url == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize("flag", ["false", "no", '"${FLAG}"'])
def test_enabled_false_takes_effect_however_it_is_written(files: Files, flag: str) -> None:
    settings = files.load(
        f"workflows: {{w: {{dify_api_key: k, enabled: {flag}}}}}\nalert_manager: {{enabled: {flag}}}", FLAG="False"
    )
    assert settings.workflows == {}
    assert settings.alert_manager is None
    assert settings.off == {"workflows.w": "enabled: false", "alert_manager": "enabled: false"}


def test_what_only_the_agent_names_is_used_as_well(files: Files) -> None:
    text = """
        providers: {dify: {api_key: k, base_url: "http://127.0.0.1:1/v1"}}
        agent:
          providers: {anthropic: {api_key: k, models: [m]}}
          workflows: {workflows: {chat: {dify_api_key: k, priority: 1}}}
    """
    settings = files.load(text)
    assert set(settings.providers) == {"dify", "anthropic"}
    assert settings.workflows["chat"].dify_endpoint == "http://127.0.0.1:1/v1/chat-messages"


def test_our_own_prefix_overrides_any_key_also_by_its_other_name(files: Files) -> None:
    settings = files.load(
        "times: {answer_s: 100}\nwecom: {corpid: c, secret: s, token: t, EncodingAESKey: old}",
        MINDBOT_TIMES__ANSWER_S="90",
        MINDBOT_WECOM__ENCODINGAESKEY="new",
        MINDBOT_PROVIDER_SELECTION__FALLBACK_ORDER='["openai"]',
        MINDBOT_PROVIDERS__OPENAI__API_KEY="k",
        MINDBOT_HOME="data",
    )
    assert settings.times.answer_s == 90
    assert settings.wecom["default"].encoding_aes_key.get_secret_value() == "new"
    assert settings.provider_selection.fallback_order == ["openai"]
    assert set(settings.providers) == {"openai"}
    assert settings.home == files.folder / "data"


def test_an_override_replaces_a_missing_variable(files: Files) -> None:
    settings = files.load('providers: {openai: {api_key: "${GONE}"}}', MINDBOT_PROVIDERS__OPENAI__API_KEY="k")
    assert set(settings.providers) == {"openai"}
    assert settings.off == {}


def test_a_misspelt_variable_of_ours_is_a_warning_with_the_nearest_name(files: Files) -> None:
    (warning,) = files.load(None, MINDBOT_DINGTAK__CLIENT_ID="x").warnings
    assert "MINDBOT_DINGTALK__CLIENT_ID" in warning.text()


def test_env_files_give_variables_and_the_environment_wins(files: Files) -> None:
    (files.folder / ".env").write_text("OPENAI_API_KEY=from-file\nREDIS_URL=redis://127.0.0.1:2/0\nPORT=9\n")
    text = 'providers: {openai: {api_key: "${OPENAI_API_KEY}"}}'
    settings = files.load(text, OPENAI_API_KEY="from-environment", PORT="")
    key = settings.providers["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "from-environment"
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:2/0"
    assert settings.web.port == 9


def test_the_env_file_beside_a_configuration_elsewhere_comes_first(files: Files) -> None:
    elsewhere = files.folder / "etc"
    elsewhere.mkdir()
    (files.folder / ".env").write_text("LOG_LEVEL=error\nLOG_FILE=here\n")
    (elsewhere / ".env").write_text("LOG_LEVEL=debug\n")
    (elsewhere / "bot.yaml").write_text("production: true\n")
    settings = load(environ={"MINDBOT_CONFIG": "etc/bot.yaml"})
    assert (settings.log_level, settings.log_file, settings.production) == ("DEBUG", "here", True)
    assert settings.read_from == (elsewhere / "bot.yaml",)


def test_the_embedded_redis_and_the_secret_key_are_found_in_home(files: Files) -> None:
    run = files.folder / "var" / "run"
    run.mkdir(parents=True)
    (run / "redis.url").write_text("redis://:word@127.0.0.1:7777/0\n")
    (files.folder / "var" / "secret.key").write_text("generated\n")
    settings = files.load()
    assert settings.redis_url.get_secret_value() == "redis://:word@127.0.0.1:7777/0"
    assert settings.secret_key.get_secret_value() == "generated"
    assert not {"redis_url", "secret_key", "database_url"} & settings.model_fields_set  # found, but not given
    given = files.load(None, REDIS_URL="redis://127.0.0.1:1/0", MINDBOT_SECRET_KEY="mine")
    assert given.redis_url.get_secret_value() == "redis://127.0.0.1:1/0"
    assert given.secret_key.get_secret_value() == "mine"
    assert {"redis_url", "secret_key"} <= given.model_fields_set


def test_models_that_are_gone_are_warnings_with_a_successor(files: Files) -> None:
    warnings = [each.text() for each in files.load_env(REFERENCE, EVERY_VARIABLE).warnings]
    for model in ("gpt-4", "gpt-3.5-turbo", "claude-3-sonnet", "gemini-pro", "chatglm3-6b"):
        assert any(f"{model} is no longer served; use for example" in warning for warning in warnings)
    assert not files.load("providers: {openai: {api_key: k, models: [gpt-6-luna, my-own-fine-tune]}}").warnings


def test_secrets_are_in_no_representation(files: Files) -> None:
    settings = files.load_env(REFERENCE, EVERY_VARIABLE)
    assert "value-of-" not in repr(settings).replace("value-of-twilio_from_number", "")
    assert "value-of-" not in settings.model_dump_json().replace("value-of-twilio_from_number", "")


def test_settings_are_read_once_until_they_are_reset(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MINDBOT_"):
            monkeypatch.delenv(name)
    reset_settings()
    try:
        assert get_settings() is get_settings()
        before = get_settings()
        (files.folder / "mindbot.yaml").write_text("production: true\n")
        assert get_settings() is before
        reset_settings()
        assert get_settings().production is True
    finally:
        reset_settings()


def test_settings_built_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDBOT_LOG_FILE", "surprise")
    assert Settings().log_file == ""
    assert Settings(home=Path("x")).off == {}
