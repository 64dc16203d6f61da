"""The vendors as emulators, one process each for all tests here; and something to tell people."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.core.settings import SmsProviderSettings
from mindbot_tasks.model.alert import Event, Notification, Severity

ACCOUNT = "AC" + "1" * 32
TOKEN = "12345"
KEY, SECRET = "LTAI-key", "its-secret"


def notification(**changes: object) -> Notification:
    values: dict[str, object] = {
        "id": 7, "alert_code": "K7Q4", "event": Event.TRIGGER, "severity": Severity.CRITICAL, "recipient": "Admin",
        "address": "+15551230000", "subject": "CRITICAL: DingTalk connection lost", "short": "CRITICAL: lost. ACK K7Q4",
        "long_text": "DingTalk connection lost", "long_html": "<p>DingTalk connection <b>lost</b></p>",
        "dedup_key": "alert-1", "component": "dingtalk:default", "at_ms": 1_793_000_000_000,
        "details": {"rule": "dingtalk_connection_lost"},
    }  # fmt: skip
    return Notification(**{**values, **changes})  # type: ignore[arg-type]


def _fresh(emulator: Emulator) -> Emulator:
    emulator.control.reset()
    emulator.control.pace(delay_ms=0)
    return emulator


@pytest.fixture(scope="session")
def _twilio() -> Iterator[Emulator]:
    with running("twilio", "--account-sid", ACCOUNT, "--auth-token", TOKEN, "--callback-ms", "20") as emulator:
        yield emulator


@pytest.fixture
def twilio(_twilio: Emulator) -> Emulator:
    return _fresh(_twilio)


@pytest.fixture(scope="session")
def _alibaba() -> Iterator[Emulator]:
    with running("alibaba-sms", "--access-key", KEY, "--secret-key", SECRET) as emulator:
        yield emulator


@pytest.fixture
def alibaba(_alibaba: Emulator) -> Emulator:
    return _fresh(_alibaba)


@pytest.fixture(scope="session")
def _incidents() -> Iterator[Emulator]:
    with running("incidents", "--key", "R" * 32) as emulator:
        yield emulator


@pytest.fixture
def incidents(_incidents: Emulator) -> Emulator:
    return _fresh(_incidents)


@pytest.fixture(scope="session")
def _mail() -> Iterator[Emulator]:
    with running("smtp", "--username", "bot", "--password", "geheim") as emulator:
        yield emulator


@pytest.fixture
def mail(_mail: Emulator) -> Emulator:
    return _fresh(_mail)


@pytest.fixture(scope="session")
def sns_url() -> Iterator[str]:
    """moto's server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("sns", endpoint_url=url, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    yield url
    server.stop()


def sms(base_url: str, **values: object) -> SmsProviderSettings:
    given: dict[str, object] = {
        "account_sid": SecretStr(ACCOUNT), "auth_token": SecretStr(TOKEN), "from_number": "+15550001111",
        "access_key": SecretStr(KEY), "secret_key": SecretStr(SECRET), "sign_name": "MindBot",
        "template_code": "SMS_1", "base_url": base_url, "timeout": 30,
    }  # fmt: skip
    return SmsProviderSettings(**{**given, **values})  # type: ignore[arg-type]
