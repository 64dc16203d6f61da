"""Twilio, Alibaba Cloud, PagerDuty, Opsgenie and webhooks: the contract, and what each has of its own."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from emulators.running import Emulator
from emulators.sms.twilio import sign as sign_as_twilio
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.settings import AlertWebhookSettings, IncidentSettings
from mindbot_tasks.model.alert import Delivery, Event
from mindbot_tasks.notifiers import webhook
from mindbot_tasks.notifiers.alibaba import AlibabaSms, national
from mindbot_tasks.notifiers.base import Notifier
from mindbot_tasks.notifiers.opsgenie import Opsgenie
from mindbot_tasks.notifiers.pagerduty import PagerDuty
from mindbot_tasks.notifiers.twilio_sms import TwilioSms
from tests.notifiers.conftest import KEY, SECRET, TOKEN, notification, sms
from tests.notifiers.contract import NotifierContract
from tests.platforms.far_side import FarSide, far_side

NOWHERE = "http://127.0.0.1:1"


def eventually(notifier: Any, message_id: str, state: Delivery) -> Any:
    ends_at = time.monotonic() + 60
    while True:
        report = notifier.query(message_id, notification(at_ms=int(time.time() * 1000)), Deadline(60))
        if report is not None and report.state is state:
            return report
        assert time.monotonic() < ends_at, report
        time.sleep(0.05)


class TestTwilio(NotifierContract):
    refused_status = 401

    @pytest.fixture
    def vendor(self, twilio: Emulator) -> Emulator:
        return twilio

    @pytest.fixture
    def notifier(self, vendor: Emulator) -> Notifier:
        return TwilioSms("twilio", sms(vendor.url))

    def elsewhere(self) -> Notifier:
        return TwilioSms("twilio", sms(NOWHERE))

    def test_a_wrong_token_is_a_matter_of_credentials(self, twilio: Emulator) -> None:
        with pytest.raises(Rejected) as raised:
            TwilioSms("twilio", sms(twilio.url, auth_token=SecretStr("wrong"))).send(notification(), Deadline(60))
        assert (raised.value.kind, raised.value.code) == ("auth", "20003")
        assert "wrong" not in str(raised.value)

    def test_a_number_that_is_none_is_refused_for_good(self, notifier: Notifier) -> None:
        with pytest.raises(Rejected) as raised:
            notifier.send(notification(address="12"), Deadline(60))
        assert raised.value.code == "21211"

    def test_chinese_takes_more_parts(self, notifier: Notifier) -> None:
        assert notifier.send(notification(short="告警" * 40), Deadline(60)).segments == 2

    def test_asking_tells_what_became_of_it_and_what_it_cost(self, notifier: TwilioSms) -> None:
        told = notifier.send(notification(), Deadline(60))
        assert told.cost is None
        report = eventually(notifier, told.provider_message_id, Delivery.DELIVERED)
        assert (report.cost, report.currency) == (0.0079, "USD")

    def test_the_account_can_be_examined(self, notifier: TwilioSms) -> None:
        assert "active" in notifier.examine(Deadline(60))

    def test_callbacks_are_signed_as_twilios_own_validator_wants(self, twilio: Emulator) -> None:
        with far_side() as receiver:
            url = f"{receiver.url}/webhooks/twilio/status/twilio?a=1"
            TwilioSms("twilio", sms(twilio.url), status_callback=url).send(notification(), Deadline(60))
            twilio.control.wait_for(2, event="callback", timeout_s=60)
            told = [(dict(parse_qsl(asked.body.decode())), asked.headers) for asked in receiver.asked]
            for fields, headers in told:
                assert RequestValidator(TOKEN).validate(url, fields, headers["x-twilio-signature"])
            assert [fields["MessageStatus"] for fields, _ in told] == ["sent", "delivered"]

    @pytest.mark.parametrize(
        ("url", "fields", "signature"),
        [
            (
                "https://example.com/myapp.php?foo=1&bar=2",
                {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
                 "To": "+18005551212"},
                "9pyy2ZSJda9ihJ1NNXPXtY4oV2Y=",
            ),
            (
                "https://bot.example.com/alerts/twilio/status",
                {"AccountSid": "AC" + "1" * 32, "ApiVersion": "2010-04-01", "From": "+15550001111",
                 "MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered", "SmsSid": "SM" + "a" * 32,
                 "SmsStatus": "delivered", "To": "+15551230000"},
                "7PM2EIQy/Lh3HhqYBLsOVBj1TXQ=",
            ),
        ],
    )  # fmt: skip
    def test_the_emulator_signs_like_twilio(self, url: str, fields: dict[str, str], signature: str) -> None:
        assert sign_as_twilio("12345", url, fields) == signature


class TestAlibaba(NotifierContract):
    @pytest.fixture
    def vendor(self, alibaba: Emulator) -> Emulator:
        return alibaba

    @pytest.fixture
    def notifier(self, vendor: Emulator) -> Notifier:
        return AlibabaSms("alibaba_sms", sms(vendor.url))

    def elsewhere(self) -> Notifier:
        return AlibabaSms("alibaba_sms", sms(NOWHERE))

    def test_the_template_gets_short_variables(self, vendor: Emulator, notifier: Notifier) -> None:
        notifier.send(notification(address="+86 138-0013-8000", component="x" * 90), Deadline(60))
        [sent] = vendor.control.call("GET", "/sent")
        assert sent["to"] == "13800138000"
        assert sent["variables"]["code"] == "K7Q4"
        assert len(sent["variables"]["name"]) == 35

    def test_a_wrong_secret_is_a_matter_of_credentials(self, vendor: Emulator) -> None:
        with pytest.raises(Rejected) as raised:
            AlibabaSms("a", sms(vendor.url, secret_key=SecretStr("wrong"))).send(notification(), Deadline(60))
        assert raised.value.kind == "auth"

    @pytest.mark.parametrize(
        ("code", "error", "kind"),
        [
            ("isv.BUSINESS_LIMIT_CONTROL", Throttled, "rate_limit"),
            ("isv.AMOUNT_NOT_ENOUGH", Rejected, "quota"),
            ("isp.SYSTEM_ERROR", Unavailable, "server"),
            ("isv.SMS_TEMPLATE_ILLEGAL", Rejected, "invalid_request"),
        ],
    )
    def test_business_errors_come_with_200(
        self, vendor: Emulator, notifier: Notifier, code: str, error: type[Exception], kind: str
    ) -> None:
        vendor.control.call("POST", "/outcome", {"code": code})
        with pytest.raises(error) as raised:
            notifier.send(notification(), Deadline(60))
        assert (raised.value.kind, raised.value.code) == (kind, code)  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("outcome", "state"), [("delivered", Delivery.DELIVERED), ("undelivered", Delivery.UNDELIVERED)]
    )
    def test_asking_tells_what_became_of_it(
        self, vendor: Emulator, notifier: AlibabaSms, outcome: str, state: Delivery
    ) -> None:
        vendor.control.call("POST", "/outcome", {"outcome": outcome})
        told = notifier.send(notification(), Deadline(60))
        eventually(notifier, told.provider_message_id, state)

    def test_the_vendors_own_sdk_is_let_in_by_the_emulator(self, vendor: Emulator) -> None:
        client_of = pytest.importorskip("alibabacloud_dysmsapi20170525.client")
        from alibabacloud_dysmsapi20170525.models import SendSmsRequest
        from alibabacloud_tea_openapi.models import Config

        config = Config(
            access_key_id=KEY, access_key_secret=SECRET, endpoint=vendor.url.removeprefix("http://"), protocol="http",
            connect_timeout=3000, read_timeout=5000,
        )  # fmt: skip
        request = SendSmsRequest(
            phone_numbers="13800138000", sign_name="Mind Bot & Co", template_code="SMS_1", template_param='{"a": "b c"}'
        )
        assert client_of.Client(config).send_sms(request).body.code == "OK"
        config.access_key_secret = "wrong"
        with pytest.raises(Exception, match="SignatureDoesNotMatch"):
            client_of.Client(config).send_sms(request)

    @pytest.mark.parametrize(
        ("phone", "wanted"),
        [("+8613800138000", "13800138000"), ("13800138000", "13800138000"), ("+15551230000", "15551230000")],
    )
    def test_numbers_of_the_mainland_go_without_prefix(self, phone: str, wanted: str) -> None:
        assert national(phone) == wanted


class TestPagerDuty(NotifierContract):
    @pytest.fixture
    def vendor(self, incidents: Emulator) -> Emulator:
        return incidents

    @pytest.fixture
    def notifier(self, vendor: Emulator) -> Notifier:
        return PagerDuty("incidents.pagerduty", IncidentSettings(key=SecretStr("R" * 32), base_url=vendor.url))

    def elsewhere(self) -> Notifier:
        return PagerDuty("incidents.pagerduty", IncidentSettings(key=SecretStr("R" * 32), base_url=NOWHERE))

    def test_a_repetition_opens_nothing_anew_and_the_end_closes_it(self, vendor: Emulator, notifier: Notifier) -> None:
        for event in (Event.TRIGGER, Event.TRIGGER, Event.ACKNOWLEDGE, Event.RESOLVE):
            assert notifier.send(notification(event=event), Deadline(60)).final
        assert vendor.control.call("GET", "/incidents") == {
            "alert-1": {"state": "resolved", "times": 4, "summary": "CRITICAL: DingTalk connection lost"}
        }

    def test_a_wrong_key_is_refused_for_good(self, vendor: Emulator) -> None:
        wrong = PagerDuty("p", IncidentSettings(key=SecretStr("wrong"), base_url=vendor.url))
        with pytest.raises(Rejected):
            wrong.send(notification(), Deadline(60))


class TestOpsgenie(NotifierContract):
    @pytest.fixture
    def vendor(self, incidents: Emulator) -> Emulator:
        return incidents

    @pytest.fixture
    def notifier(self, vendor: Emulator) -> Notifier:
        return Opsgenie("incidents.opsgenie", IncidentSettings(key=SecretStr("R" * 32), base_url=vendor.url))

    def elsewhere(self) -> Notifier:
        return Opsgenie("incidents.opsgenie", IncidentSettings(key=SecretStr("R" * 32), base_url=NOWHERE))

    def test_it_is_asked_later_whether_it_took_the_alert(self, notifier: Opsgenie) -> None:
        told = notifier.send(notification(dedup_key="a/b c"), Deadline(60))
        eventually(notifier, told.provider_message_id, Delivery.DELIVERED)
        closed = notifier.send(notification(dedup_key="a/b c", event=Event.RESOLVE), Deadline(60))
        eventually(notifier, closed.provider_message_id, Delivery.DELIVERED)
        unknown = notifier.send(notification(dedup_key="never", event=Event.RESOLVE), Deadline(60))
        eventually(notifier, unknown.provider_message_id, Delivery.UNDELIVERED)

    def test_a_long_subject_is_cut(self, vendor: Emulator, notifier: Notifier) -> None:
        assert notifier.send(notification(subject="x" * 400), Deadline(60)).provider_message_id


class TestWebhook:
    @pytest.fixture
    def receiver(self) -> Any:
        with far_side() as receiver:
            yield receiver

    def test_the_call_is_signed_and_known_by_its_key(self, receiver: FarSide) -> None:
        settings = AlertWebhookSettings(url=f"{receiver.url}/hook", secret=SecretStr("s3cret"), allow_private=True)
        assert webhook.Webhook("webhooks.ops", settings).send(notification(), Deadline(60)).final
        [asked] = receiver.asked
        expected = webhook.sign("s3cret", asked.body, now_s=int(asked.headers["x-mindbot-timestamp"]))
        assert asked.headers["x-mindbot-signature"] == expected["X-MindBot-Signature"]
        assert asked.headers["idempotency-key"] == "7"
        assert asked.json["alert"] == "K7Q4"
        assert asked.json["event"] == "trigger"

    def test_addresses_inside_the_network_are_refused_unless_allowed(self, receiver: FarSide) -> None:
        with pytest.raises(Rejected):
            webhook.Webhook("w", AlertWebhookSettings(url=receiver.url)).send(notification(), Deadline(60))
        assert receiver.asked == []

    def test_nobody_there_means_nothing_was_sent(self, closed_port: int) -> None:
        settings = AlertWebhookSettings(url=f"http://127.0.0.1:{closed_port}/", allow_private=True)
        with pytest.raises(Unavailable) as raised:
            webhook.Webhook("w", settings).send(notification(), Deadline(60))
        assert raised.value.code == "connect"
