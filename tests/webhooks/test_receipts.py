"""Receipts of SMS vendors and answers by SMS, from an emulator's signed call to the row of the alert."""

from __future__ import annotations

import flask.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from emulators.sms.twilio import sign
from mindbot_tasks.alerting import sms_replies
from mindbot_tasks.core.settings import (
    AlertManagerSettings,
    RecipientSettings,
    SmsProviderSettings,
    SmsSettings,
)
from tests.webhooks.conftest import Configure
from webhooks.app import create_app

PUBLIC = "https://bot.example.com"
TOKEN, SECRET_PATH = "12345", "an-unguessable-path"
ALERTS = AlertManagerSettings(
    recipients={"primary": [RecipientSettings(name="Admin", phone="+1 555 123 0000", language="en")]},
    sms=SmsSettings(
        providers={
            "twilio": SmsProviderSettings(
                account_sid=SecretStr("AC1"), auth_token=SecretStr(TOKEN), from_number="+15550001111"
            ),
            "alibaba_sms": SmsProviderSettings(
                access_key=SecretStr("k"), secret_key=SecretStr("s"), sign_name="M", template_code="T",
                receipts_token=SecretStr(SECRET_PATH),
            ),
        }
    ),
)  # fmt: skip


@pytest.fixture
def client(configure: Configure) -> flask.testing.FlaskClient:
    settings = configure(alert_manager=ALERTS, web={"public_url": PUBLIC})
    return create_app(settings).test_client()


def post(client: flask.testing.FlaskClient, path: str, token: str = TOKEN, **fields: str) -> flask.testing.TestResponse:  # type: ignore[name-defined]
    headers = {"X-Twilio-Signature": sign(token, PUBLIC + path, fields)}
    return client.post(path, data=fields, headers=headers)


def test_a_receipt_of_a_message_that_nobody_knows_is_taken_and_ignored(client: flask.testing.FlaskClient) -> None:
    answer = post(client, "/webhooks/twilio/status/twilio", MessageSid="SM1", MessageStatus="delivered")
    assert (answer.status_code, answer.data) == (204, b"")


def test_a_word_of_later_days_changes_nothing(client: flask.testing.FlaskClient) -> None:
    assert post(client, "/webhooks/twilio/status", MessageSid="SM1", MessageStatus="pondering").status_code == 204


@pytest.mark.parametrize("path", ["/webhooks/twilio/status", "/webhooks/twilio/inbound"])
def test_a_wrong_signature_is_refused(client: flask.testing.FlaskClient, path: str) -> None:
    assert post(client, path, token="wrong", From="+15551230000", Body="ack").status_code == 401
    assert client.post(path, data={"From": "+15551230000"}).status_code == 401


def test_strangers_hear_nothing(client: flask.testing.FlaskClient) -> None:
    answer = post(client, "/webhooks/twilio/inbound", From="+19998887777", Body="ack K7Q4")
    assert answer.status_code == 200
    assert answer.data.endswith(b"<Response></Response>")


def test_who_is_known_hears_how_it_is_done(client: flask.testing.FlaskClient) -> None:
    answer = post(client, "/webhooks/twilio/inbound", From="+15551230000", Body="what? <b>")
    assert b"ACK and its code" in answer.data
    answer = post(client, "/webhooks/twilio/inbound", From="+15551230000", Body="ok")
    assert b"No alert" in answer.data
    answer = post(client, "/webhooks/twilio/inbound", From="+15551230000", Body="ack zz99")
    assert b"ZZ99 is not open" in answer.data


def test_alibaba_is_believed_at_its_secret_address_only(client: flask.testing.FlaskClient) -> None:
    report = [{"phone_number": "13800138000", "success": True, "biz_id": "1^0", "err_code": "DELIVERED"}]
    answer = client.post(f"/webhooks/alibaba/{SECRET_PATH}", json=report)
    assert (answer.status_code, answer.get_json()) == (200, {"code": 0, "msg": "accepted"})
    assert client.post("/webhooks/alibaba/guess", json=report).status_code == 404
    assert client.post(f"/webhooks/alibaba/{SECRET_PATH}", data=b"{").status_code == 400


def test_without_alerts_there_is_no_such_address(configure: Configure) -> None:
    client = create_app(configure()).test_client()
    assert client.post("/webhooks/twilio/status", data={}).status_code == 404
    assert client.post("/webhooks/alibaba/x", json=[]).status_code == 404


@pytest.mark.parametrize(
    ("text", "code"),
    [("ack K7Q4", "K7Q4"), ("ACK #k7q4", "K7Q4"), (" ok ", ""), ("收到", ""), ("确认 k7q4。", "K7Q4"), ("no", None),
     ("okra", None)],
)  # fmt: skip
def test_the_code_is_found_in_what_people_write(text: str, code: str | None) -> None:
    assert sms_replies.code_in(text) == code


@given(st.text(max_size=200))
def test_any_answer_is_read_without_trouble(text: str) -> None:
    found = sms_replies.code_in(text)
    assert found is None or len(found) <= 12


@pytest.mark.parametrize("phone", ["+15551230000", "15551230000", "+1 (555) 123-0000"])
def test_numbers_are_compared_by_their_digits(phone: str) -> None:
    person = sms_replies.sender(ALERTS, phone)
    assert person is not None
    assert person.name == "Admin"


@pytest.mark.parametrize("phone", ["", "0000", "+25551230000"])
def test_nearly_the_same_number_is_somebody_else(phone: str) -> None:
    assert sms_replies.sender(ALERTS, phone) is None
