"""`mindbot doctor` against emulators: what is wrong is named with what to do, and secrets are not shown."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.cli.doctor import doctor, engine, vendors
from mindbot_tasks.cli.doctor.finding import Finding
from mindbot_tasks.core.settings import (
    ChatSettings,
    DingTalkSettings,
    ModelSettings,
    ProviderSettings,
    Settings,
    WeComCsSettings,
    WeComSettings,
    WorkflowSettings,
    reset_settings,
)
from mindbot_tasks.platforms.condition import Condition
from mindbot_tasks.stores.database import forget_engine, open_engine
from mindbot_tasks.stores.health import HealthSnapshot
from tests.conftest import free_port
from tests.slack import at_most

MODEL_KEY = "the-key-of-the-model-server"
DINGTALK_SECRET = "the-secret-of-the-robot"


@pytest.fixture(scope="module")
def openai_process() -> Iterator[Emulator]:
    with running("openai", "--api-key", MODEL_KEY, "--model", "good-model") as emulator:
        yield emulator


@pytest.fixture
def openai(openai_process: Emulator) -> Emulator:
    openai_process.control.reset()
    return openai_process


@pytest.fixture(scope="module")
def dify_process() -> Iterator[Emulator]:
    with running("dify", "--app", "app-right=advanced-chat", "--app", "app-flow=workflow") as emulator:
        yield emulator


@pytest.fixture
def dify(dify_process: Emulator) -> Emulator:
    dify_process.control.reset()
    return dify_process


@pytest.fixture(scope="module")
def dingtalk_process() -> Iterator[Emulator]:
    with running("dingtalk", "--app-key", "robot", "--app-secret", DINGTALK_SECRET) as emulator:
        yield emulator


@pytest.fixture
def dingtalk(dingtalk_process: Emulator) -> Emulator:
    dingtalk_process.control.reset()
    return dingtalk_process


def test_an_aes_key_of_wecom_that_is_none_is_named() -> None:
    values = {"corpid": "c", "secret": "s", "token": "t", "encoding_aes_key": "short"}
    found = ask_vendors(wecom={"default": WeComSettings.model_validate(values)})["wecom"]
    assert found.level == "fail"
    assert "43" in found.text.in_("en")


def ask_vendors(**sections: Any) -> dict[str, Finding]:
    return {finding.what: finding for finding in vendors.look_at_vendors(Settings(**sections))}


def provider(url: str, key: str = MODEL_KEY, model: str = "good-model") -> ProviderSettings:
    return ProviderSettings(
        type="openai", base_url=f"{url}/v1", api_key=SecretStr(key), models=[ModelSettings(name=model)]
    )


def workflow(url: str, key: str) -> WorkflowSettings:
    return WorkflowSettings(dify_endpoint=f"{url}/v1/chat-messages", dify_api_key=SecretStr(key))


def robot(url: str, secret: str = DINGTALK_SECRET) -> DingTalkSettings:
    return DingTalkSettings(client_id="robot", client_secret=SecretStr(secret), api_base=url, oapi_base=url)


def test_right_keys_are_found_right(openai: Emulator, dify: Emulator, dingtalk: Emulator) -> None:
    told = ask_vendors(
        dingtalk={"default": robot(dingtalk.url)},
        providers={"mine": provider(openai.url)},
        workflows={"code": workflow(dify.url, "app-right")},
    )
    assert {what: finding.level for what, finding in told.items()} == {
        "dingtalk": "ok",
        "providers.mine": "ok",
        "workflows.code": "ok",
        "clock": "ok",
    }


def test_wrong_credentials_of_dingtalk_are_named(dingtalk: Emulator) -> None:
    found = ask_vendors(dingtalk={"sales": robot(dingtalk.url, "wrong-secret")})["dingtalk.sales"]
    assert (found.level, found.text) == ("fail", "the credentials are refused (400, invalidClientIdOrSecret)")
    assert "client_secret" in str(found.advice)


def test_every_platform_is_asked_by_its_own_adapter() -> None:
    keys = {"corpid": "corp1", "token": SecretStr("t"), "encoding_aes_key": SecretStr("a" * 43)}
    with running("wecom", "--corpid", "corp1", "--secret", "right") as wecom:
        told = ask_vendors(
            wecom={
                "right": WeComSettings(**keys, secret="right", api_base=wecom.url),
                "wrong": WeComSettings(**keys, secret="wrong", api_base=wecom.url),
            },
            wecomcs={"right": WeComCsSettings(**keys, secret="right", api_base=wecom.url)},
        )
        for path in ("getcallbackip", "kf/account/list"):
            wecom.control.call("POST", "/errcodes", {"path": path, "errcode": 60020, "times": 1})
        refused = ask_vendors(
            wecom={"right": WeComSettings(**keys, secret="right", api_base=wecom.url)},
            wecomcs={"right": WeComCsSettings(**keys, secret="right", api_base=wecom.url)},
        )
    levels = {what: finding.level for what, finding in told.items() if what.startswith("wecom")}
    assert levels == {"wecom.right": "ok", "wecom.wrong": "fail", "wecomcs.right": "ok"}
    assert "getcallbackip" in told["wecom.right"].text
    assert "corpid and secret" in str(told["wecom.wrong"].advice)
    for what in ("wecom.right", "wecomcs.right"):
        assert "(60020)" in refused[what].text
        assert "trusted IPs" in str(refused[what].advice), "the credentials are right, and are not called wrong"
    assert "platforms" not in told, "there is a door"


def test_a_wrong_key_is_told_from_a_missing_model(openai: Emulator) -> None:
    told = ask_vendors(
        providers={"stranger": provider(openai.url, key="wrong"), "lost": provider(openai.url, model="gone-model")}
    )
    assert told["providers.stranger"].level == "fail"
    assert "refused (401" in told["providers.stranger"].text
    assert told["providers.lost"].level == "warn"
    assert "good-model" in str(told["providers.lost"].advice)


def test_one_bad_key_of_several_is_named_by_its_place(openai: Emulator) -> None:
    several = ProviderSettings.model_validate(
        {"type": "openai", "base_url": f"{openai.url}/v1", "api_key": ["wrong", MODEL_KEY], "models": ["good-model"]}
    )
    found = ask_vendors(providers={"mine": several})
    assert (found["providers.mine"].level, found["providers.mine #1"].level) == ("ok", "warn")
    assert "wrong" not in str(found)


def test_a_model_that_is_switched_off_soon_is_a_warning() -> None:
    soon = datetime.now(UTC).date() + timedelta(days=9)
    with running("openai", "--model", "old", "--shutdown", f"old={soon}") as far:
        found = ask_vendors(providers={"mine": provider(far.url, model="old")})["providers.mine"]
    assert found.level == "warn"
    assert str(soon) in found.text


def test_a_server_without_a_list_of_models_is_not_called_broken(openai: Emulator) -> None:
    openai.control.fault("status", "/v1/models", status=404)
    found = ask_vendors(providers={"plain": provider(openai.url)})["providers.plain"]
    assert (found.level, "not tried" in found.text) == ("warn", True)


def test_a_mode_that_differs_and_a_wrong_key_are_named(dify: Emulator) -> None:
    told = ask_vendors(workflows={"flow": workflow(dify.url, "app-flow"), "unknown": workflow(dify.url, "app-unknown")})
    assert told["workflows.flow"].level == "warn"
    assert "the app is of mode workflow, the configuration says chat-messages" in told["workflows.flow"].text
    assert "refused (401" in told["workflows.unknown"].text


@pytest.mark.parametrize(
    ("options", "level", "words"),
    [
        ({}, "ok", "the question goes into query"),
        ({"text_input": "topic"}, "warn", "requires query"),
        ({"inputs": {"query": "{text}", "tone": "formal"}}, "warn", "no input variable tone"),
        ({"inputs": {"query": "{history} {text}"}}, "ok", "the question goes into query"),
    ],
)
def test_the_inputs_of_a_workflow_app_are_compared_with_its_form(
    dify: Emulator, options: dict[str, Any], level: str, words: str
) -> None:
    flow = WorkflowSettings(dify_endpoint=dify.url, dify_api_key=SecretStr("app-flow"), **options)
    found = ask_vendors(workflows={"flow": flow})["workflows.flow"]
    assert (found.level, words in found.text) == (level, True), found


def test_every_endpoint_of_a_workflow_is_asked(dify: Emulator) -> None:
    flow = WorkflowSettings.model_validate(
        {
            "dify_endpoint": dify.url, "dify_api_key": "app-right",
            "endpoints": [{"name": "spare", "key": "app-unknown"}],
        }
    )  # fmt: skip
    told = ask_vendors(workflows={"chat": flow})
    assert (told["workflows.chat"].level, told["workflows.chat.spare"].level) == ("ok", "fail")


@pytest.mark.parametrize(
    ("fault", "level", "words"),
    [
        ({"action": "drop"}, "fail", "cannot be reached"),
        ({"action": "status", "status": 503}, "fail", "in trouble (503)"),
        ({"action": "throttle", "retry_after": 7}, "warn", "asks to wait (429)"),
        ({"action": "html", "status": 200}, "fail", "not what this service sends"),
    ],
)
def test_trouble_on_the_way_is_told_apart(dify: Emulator, fault: dict[str, Any], level: str, words: str) -> None:
    dify.control.fault(path="/v1/info", **fault)
    found = ask_vendors(workflows={"code": workflow(dify.url, "app-right")})["workflows.code"]
    assert found.level == level, found
    assert words in found.text


def test_nobody_at_the_address_is_unreachable_and_soon() -> None:
    began_at = time.monotonic()
    found = ask_vendors(providers={"gone": provider(f"http://127.0.0.1:{free_port()}")})["providers.gone"]
    assert (found.level, "cannot be reached" in found.text) == ("fail", True)
    assert time.monotonic() - began_at < at_most(vendors.CALL_S + 1)


def test_a_clock_that_differs_from_all_others_is_found(dify: Emulator) -> None:
    wrong = formatdate(time.time() - 600, usegmt=True)
    dify.control.fault("status", "/v1/info", status=503, headers={"Date": wrong})
    found = ask_vendors(workflows={"code": workflow(dify.url, "app-right")})["clock"]
    assert found.level == "fail"
    assert re.search(r"differs from the vendors' by \+6\d\d s", found.text)


@pytest.mark.parametrize(
    ("offsets", "level"), [([0.4], "ok"), ([600.0, 1.0], "ok"), ([-30.0, 45.0], "warn"), ([300.0, 310.0], "fail")]
)
def test_one_vendor_with_a_wrong_clock_does_not_make_ours_wrong(offsets: list[float], level: str) -> None:
    [finding] = vendors.judge_clock(offsets)
    assert finding.level == level


def test_a_secret_that_cannot_sign_is_found_before_the_first_message() -> None:
    told = ask_vendors(chat={"crm": ChatSettings(secrets=[SecretStr("not-a-secret")]), "bare": ChatSettings()})
    assert told["chat.crm"].level == "fail"
    assert "not-a-secret" not in told["chat.crm"].text
    assert told["chat.bare"].level == "fail"


@pytest.mark.parametrize(
    ("info", "worst"),
    [
        ({"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory_policy": "noeviction"}, "ok"),
        ({"redis_version": "6.2.14", "aof_enabled": 0, "maxmemory_policy": "noeviction"}, "warn"),
        ({"redis_version": "6.0.9", "aof_enabled": 1, "maxmemory_policy": "noeviction"}, "fail"),
        ({"redis_version": "10.0.0", "aof_enabled": 1, "maxmemory_policy": "allkeys-lru"}, "fail"),
        ({"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory": 100, "used_memory": 69}, "ok"),
        ({"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory": 100, "used_memory": 70}, "warn"),
        ({"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory": 100, "used_memory": 101}, "fail"),
        ({"redis_version": "7.2.4", "aof_enabled": 1, "aof_last_write_status": "err"}, "fail"),
    ],
)
def test_a_redis_that_is_old_or_forgets_is_found(info: dict[str, object], worst: str) -> None:
    levels = [finding.level for finding in engine.judge_redis(info)]
    assert max(levels, key=["ok", "warn", "fail"].index) == worst


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    url = f"redis://:hidden-password@127.0.0.1:{free_port()}/0"
    [finding] = engine.look_at_redis(Settings(redis_url=SecretStr(url)))
    assert finding.level == "fail"
    assert "127.0.0.1" in finding.text
    assert "hidden-password" not in finding.text


def test_each_queue_is_judged_by_its_workers_and_by_what_comes_through() -> None:
    seen = HealthSnapshot(
        canary_age_s={"classify": 4.0, "generate": 300.0, "upkeep": 2.0},
        sweep_age_s=90.0,
        oldest_unstarted_s=61.0,
        served=frozenset({"classify", "generate", "upkeep"}),
    )
    levels = {finding.what: finding.level for finding in engine.judge_workers(seen)}
    assert levels == {
        "queue classify": "ok",
        "queue generate": "fail",  # served, but stuck
        "queue reply": "fail",  # nobody
        "queue upkeep": "ok",
        "sweeper": "fail",
        "messages": "fail",
    }


Choose = Callable[..., None]


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Choose]:
    """Make this the configuration of the process, in a directory of its own."""
    for name in [name for name in os.environ if name.startswith("MINDBOT_") or name.endswith(("_URL", "_KEY"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def forget() -> None:
        reset_settings()
        forget_engine()

    def choose(yaml: str = "", **environment: str) -> None:
        forget()
        (tmp_path / "mindbot.yaml").write_text(yaml)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    yield choose
    forget()


def test_a_database_that_nobody_made_is_not_made_by_looking(choose: Choose, tmp_path: Path) -> None:
    choose(DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    result = CliRunner().invoke(doctor, ["--offline"])
    assert result.exit_code == 1
    assert "there is no database" in result.output
    assert "mindbot db upgrade" in result.output
    assert not (tmp_path / "none.db").exists()


def test_an_older_schema_is_named_with_the_one_that_is_needed(choose: Choose, sqlite_url: str) -> None:
    database = open_engine(sqlite_url)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    database.dispose()
    choose(DATABASE_URL=sqlite_url)
    result = CliRunner().invoke(doctor, ["--offline"])
    assert result.exit_code == 1
    assert "its schema is 0000, this version needs 00" in result.output


@pytest.mark.postgres
def test_postgresql_that_does_not_wait_for_the_disk_is_found(choose: Choose, postgresql_url: str) -> None:
    choose(DATABASE_URL=postgresql_url)
    assert "synchronous_commit" not in CliRunner().invoke(doctor, ["--offline"]).output
    database = open_engine(postgresql_url)
    with database.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    database.dispose()
    choose(DATABASE_URL=postgresql_url)  # and so a new connection
    result = CliRunner().invoke(doctor, ["--offline"])
    assert result.exit_code == 1
    assert "synchronous_commit is off" in result.output


def test_a_mindbot_that_is_not_running_is_no_failure(choose: Choose, sqlite_url: str) -> None:
    choose(DATABASE_URL=sqlite_url)
    result = CliRunner().invoke(doctor, ["--offline"])
    assert result.exit_code == 0, result.output
    assert "start MindBot: make run, or mindbot up" in result.output


def test_a_configuration_that_cannot_be_read_ends_the_visit(choose: Choose) -> None:
    choose("dingtalk: {client_id: 1, client_secrett: x}\n")
    result = CliRunner().invoke(doctor, [])
    assert result.exit_code == 1
    assert "client_secret" in result.output
    assert "nothing else can be looked at" in result.output


def test_no_secret_is_printed_whatever_goes_wrong(
    choose: Choose, sqlite_url: str, openai: Emulator, dify: Emulator, dingtalk: Emulator
) -> None:
    secrets = ("wrong-robot-secret", "wrong-model-key", "app-wrong-workflow-key", "redis-password")
    choose(
        f"""
dingtalk: {{client_id: robot, client_secret: {secrets[0]}, api_base: {dingtalk.url}, oapi_base: {dingtalk.url}}}
providers: {{mine: {{type: openai, base_url: {openai.url}/v1, api_key: {secrets[1]}, models: [m]}}}}
workflows: {{code: {{dify_endpoint: {dify.url}/v1/chat-messages, dify_api_key: {secrets[2]}}}}}
redis_url: redis://:{secrets[3]}@127.0.0.1:{free_port()}/0
""",
        DATABASE_URL=sqlite_url,
    )
    for options in ([], ["--json"]):
        result = CliRunner().invoke(doctor, options)
        assert result.exit_code == 1
        assert result.output.count("fail") >= 4
        assert not [secret for secret in secrets if secret in result.output]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "ok", "connected (2 of 2 connections); last message in: 5 s ago, last answer out: never seen"),
        ({"connection": "not_needed"}, "ok", "reached by webhook"),
        ({"connection": "no_data"}, "fail", "no process holds its connection"),
        ({"connection": "connecting"}, "warn", "its connection is connecting for 60 s"),
        ({"connection": "refused", "connection_detail": "wrong"}, "fail", "its connection is refused for 60 s: wrong"),
        ({"token": "refused"}, "fail", "refused its credentials lately"),
    ],
)
def test_the_condition_of_a_bot_is_told(changes: dict[str, Any], level: str, words: str) -> None:
    well = Condition(
        platform="dingtalk", bot="sales", ok=True, reason="", connection="online",
        connection_detail="2 of 2 connections", connection_since_s=60.0, last_inbound_s=5.0,
    )  # fmt: skip
    found = engine.judge_bot(replace(well, **changes))
    assert (found.what, found.level) == ("bot dingtalk.sales", level)
    assert words in found.text
