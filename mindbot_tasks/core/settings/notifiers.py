"""The ways to reach people: SMS vendors, e-mail, webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from mindbot_tasks.core.settings.section import Port, Seconds, Section, Url


class SmsProviderSettings(Section):
    """The keys of all SMS vendors; REQUIRED_BY_SMS_TYPE says which a vendor needs."""

    enabled: bool = True
    type: str = ""  #: "" means: by name
    account_sid: SecretStr | None = None
    auth_token: SecretStr | None = None
    from_number: str = ""
    messaging_service_sid: str = ""
    region: str = ""
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    sender_id: str = ""
    sign_name: str = ""
    template_code: str = ""
    #: of the approved template: variable -> text with {code}, {severity}, {component}, {time}, {summary}
    template_params: dict[str, str] = {
        "code": "{code}", "level": "{severity}", "name": "{component}", "time": "{time}"
    }  # fmt: skip
    receipts_token: SecretStr | None = None  #: the unguessable end of the address for a vendor's unsigned receipts
    valid_for: Annotated[int, Field(ge=60, le=36_000)] = 3600  #: seconds after which a vendor drops an undelivered SMS
    weight: Annotated[int, Field(ge=0, le=100)] = 1  #: its share, where vendors take turns; 0: only when others fail
    price: Annotated[float, Field(ge=0)] | None = None  #: of one part of an SMS, where the vendor does not say
    currency: str = "USD"
    base_url: Url = ""  #: "" means: the vendor's own
    timeout: Seconds = 5


REQUIRED_BY_SMS_TYPE = {
    "twilio": ("account_sid", "auth_token"),
    "aws_sns": ("access_key", "secret_key"),
    "alibaba_sms": ("access_key", "secret_key", "sign_name", "template_code"),
}


class SmsSettings(Section):
    primary_provider: str = ""  #: "" means: the first one that is on
    backup_providers: list[str] = []
    strategy: Literal["failover", "round_robin", "weighted"] = "failover"  #: who is tried first
    providers: dict[str, SmsProviderSettings] = {}


class EmailSettings(Section):
    enabled: bool = True
    host: str
    port: Port = 587
    username: str = ""
    password: SecretStr | None = None
    from_address: str
    security: Literal["starttls", "tls", "none"] = "starttls"
    timeout: Seconds = 5


class AlertWebhookSettings(Section):
    enabled: bool = True
    url: Url
    secret: SecretStr | None = None
    allow_private: bool = False
    timeout: Seconds = 5


class IncidentSettings(Section):
    """An incident service: the last level of escalation."""

    enabled: bool = True
    type: Literal["", "pagerduty", "opsgenie"] = ""  #: "" means: by name
    key: SecretStr  #: PagerDuty's routing key, Opsgenie's API key
    base_url: Url = ""  #: "" means: the vendor's own
    responders: list[str] = []  #: teams of Opsgenie
    timeout: Seconds = 5
