"""E-mail to a real mail server, and SNS as moto serves it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.cli.doctor import vendors
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings import AlertManagerSettings, EmailSettings, Settings
from mindbot_tasks.core.settings.load import load
from mindbot_tasks.notifiers import registry
from mindbot_tasks.notifiers.mail import Mail
from mindbot_tasks.notifiers.sns import SnsSms
from tests.notifiers.conftest import notification, sms


def mailer(port: int, **changes: object) -> Mail:
    values: dict[str, object] = {
        "host": "127.0.0.1", "port": port, "username": "bot", "password": SecretStr("geheim"),
        "from_address": "MindBot <bot@example.com>", "security": "none", "timeout": 30,
    }  # fmt: skip
    return Mail("email", EmailSettings(**{**values, **changes}))  # type: ignore[arg-type]


@pytest.fixture
def port(mail: Emulator) -> int:
    return int(mail.control.call("GET", "/smtp")["port"])


def test_a_mail_arrives_as_text_and_html(mail: Emulator, port: int) -> None:
    assert mailer(port).send(notification(address="admin@example.com", subject="告警: 断开"), Deadline(60)).final
    [got] = mail.control.call("GET", "/sent")
    assert got["to"] == ["admin@example.com"]
    assert got["subject"] == "告警: 断开"
    assert "lost" in got["text"]
    assert "<b>lost</b>" in got["html"]


def test_a_second_try_has_the_same_id_so_that_mail_programs_show_it_once(mail: Emulator, port: int) -> None:
    for _ in range(2):
        mailer(port).send(notification(address="admin@example.com"), Deadline(60))
    one, two = mail.control.call("GET", "/sent")
    assert one["message_id"] == two["message_id"] == "<mindbot-notification-7@example.com>"


def test_a_line_break_in_a_subject_makes_no_header(mail: Emulator, port: int) -> None:
    mailer(port).send(notification(address="a@example.com", subject="x\r\nBcc: all@example.com"), Deadline(60))
    [got] = mail.control.call("GET", "/sent")
    assert got["to"] == ["a@example.com"]
    assert "Bcc" in got["subject"]


@pytest.mark.parametrize(
    ("say", "error"),
    [("450 4.2.1 try again later", Unavailable), ("550 5.1.1 no such user", Rejected), ("554 5.7.1 refused", Rejected)],
)
def test_four_may_go_away_and_five_does_not(mail: Emulator, port: int, say: str, error: type[Exception]) -> None:
    mail.control.call("POST", "/refuse", {"say": say})
    with pytest.raises(error):
        mailer(port).send(notification(address="a@example.com"), Deadline(60))
    assert mail.control.call("GET", "/sent") == []


def test_wrong_credentials_are_named_and_not_shown(mail: Emulator, port: int) -> None:
    with pytest.raises(Rejected) as raised:
        mailer(port, password=SecretStr("falsch")).examine(Deadline(60))
    assert raised.value.kind == "auth"
    assert "falsch" not in str(raised.value)


def test_a_server_without_tls_is_not_trusted_with_the_password(mail: Emulator, port: int) -> None:
    with pytest.raises(Rejected):
        mailer(port, security="starttls").send(notification(address="a@example.com"), Deadline(60))


def test_no_mail_server_means_nothing_was_sent() -> None:
    with pytest.raises(Unavailable) as raised:
        mailer(1).send(notification(address="a@example.com"), Deadline(60))
    assert raised.value.code == "connect"


def test_sns_takes_a_message_and_that_is_all_there_is_to_know(sns_url: str) -> None:
    told = SnsSms("aws_sns", sms(sns_url, region="us-east-1", price=0.0065)).send(notification(), Deadline(60))
    assert (told.final, told.cost) == (True, 0.0065)


def test_sns_refuses_a_wrong_number_for_good(sns_url: str) -> None:
    with pytest.raises(Rejected) as raised:
        SnsSms("aws_sns", sms(sns_url, region="us-east-1")).send(notification(address="nobody"), Deadline(60))
    assert raised.value.code == "InvalidParameter"


def test_sns_that_is_away_was_sent_nothing() -> None:
    with pytest.raises(Unavailable) as raised:
        SnsSms("aws_sns", sms("http://127.0.0.1:1", region="us-east-1")).send(notification(), Deadline(60))
    assert raised.value.code == "connect"


@pytest.mark.parametrize(("password", "level"), [("geheim", "ok"), ("falsch", "fail")])
def test_the_doctor_says_whether_the_credentials_hold(port: int, password: str, level: str) -> None:
    email = EmailSettings(
        host="127.0.0.1", port=port, username="bot", password=SecretStr(password), from_address="bot@example.com",
        security="none",
    )  # fmt: skip
    settings = Settings(alert_manager=AlertManagerSettings(email=email))
    [found] = [one for one in vendors.look_at_vendors(settings) if one.what == "alerts.email"]
    assert found.level == level
    assert password not in found.text.in_("en")


def settings_of(tmp_path: object, text: str) -> Settings:
    from pathlib import Path

    path = Path(str(tmp_path)) / "mindbot.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ={})


ALL = """
alert_manager:
  sms:
    primary_provider: alibaba_sms
    backup_providers: [twilio]
    providers:
      aws_sns: {access_key: k, secret_key: s}
      twilio: {account_sid: AC1, auth_token: t, from_number: "+15550001111"}
      alibaba_sms: {access_key: k, secret_key: s, sign_name: M, template_code: SMS_1}
      numberless: {type: twilio, account_sid: AC1, auth_token: t}
  email: {host: mail.example.com, from_address: bot@example.com}
  webhooks: {ops: {url: "https://example.com/hook"}}
  incidents: {pagerduty: {key: k}, eu: {type: opsgenie, key: k}}
"""


def test_the_primary_vendor_comes_before_the_backups(tmp_path: object) -> None:
    built = registry.build(settings_of(tmp_path, ALL))
    assert [one.name for one in built] == [
        "alibaba_sms", "twilio", "aws_sns", "email", "webhooks.ops", "incidents.pagerduty", "incidents.eu",
    ]  # fmt: skip


def test_without_alerts_nobody_is_reached(tmp_path: object) -> None:
    assert registry.build(settings_of(tmp_path, "language: en")) == []
