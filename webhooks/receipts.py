"""Delivery receipts of SMS vendors, and people's answers to alerts by SMS."""

from __future__ import annotations

import hmac
from xml.sax.saxutils import escape

import flask
import structlog
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from mindbot_tasks.alerting import sms_replies
from mindbot_tasks.core.errors import PayloadInvalid, SignatureInvalid
from mindbot_tasks.core.settings import AlertManagerSettings, Settings, SmsProviderSettings
from mindbot_tasks.model.alert import Delivery, DeliveryReport
from mindbot_tasks.notifiers.receipts import alibaba_replies, alibaba_reports, twilio_state
from mindbot_tasks.notifiers.registry import kind_of
from mindbot_tasks.stores import outbox
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import transaction
from webhooks import errors

log = structlog.get_logger(__name__)

receipts = APIBlueprint("receipts", __name__, url_prefix="/webhooks", enable_openapi=False)

_MOST_REPORTS = 1000


@receipts.post("/twilio/status")
@receipts.post("/twilio/status/<name>")
def twilio_status(name: str = "") -> ResponseReturnValue:
    """What became of a message; Twilio calls with each change, in any order."""
    name, _, fields = _twilio_call(name)
    state = twilio_state(fields.get("MessageStatus") or fields.get("SmsStatus") or "")
    sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
    if state is not None and sid:
        _note(name, sid, DeliveryReport(state, fields.get("ErrorCode", "")[:20]))
    return "", 204


@receipts.post("/twilio/inbound")
@receipts.post("/twilio/inbound/<name>")
def twilio_inbound(name: str = "") -> ResponseReturnValue:
    """Somebody has sent an SMS to our number."""
    _, alerts, fields = _twilio_call(name)
    said = _take(alerts, fields.get("From", ""), fields.get("Body", ""))
    message = f"<Message>{escape(said)}</Message>" if said else ""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
    return flask.Response(body, content_type="text/xml; charset=utf-8")


@receipts.post("/alibaba/<token>")
def alibaba(token: str) -> ResponseReturnValue:
    """Reports and answers of Alibaba Cloud, which are not signed: who knows the address is believed."""
    _, alerts = _settings()
    found = _alibaba_of(alerts, token)
    if found is None:
        return errors.error(404, "not_found", "There is nothing here.")
    items = flask.request.get_json(silent=True)
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items[:_MOST_REPORTS]):
        raise PayloadInvalid("the body is not a JSON list of reports")
    items = items[:_MOST_REPORTS]
    for biz_id, report in alibaba_reports(items):
        _note(found, biz_id, report)
    for phone, text in alibaba_replies(items):
        _take(alerts, phone, text)
    return flask.jsonify({"code": 0, "msg": "accepted"})


def _settings() -> tuple[Settings, AlertManagerSettings]:
    settings: Settings = flask.current_app.config["MINDBOT"]
    if settings.alert_manager is None or not settings.alert_manager.enabled:
        flask.abort(404)
    return settings, settings.alert_manager


def _twilio_call(name: str) -> tuple[str, AlertManagerSettings, dict[str, str]]:
    """Whose call it is, and its fields, once the signature holds. Raises SignatureInvalid."""
    settings, alerts = _settings()
    found = _twilio_of(alerts, name)
    if found is None:
        flask.abort(404)
    name, provider = found
    from twilio.request_validator import RequestValidator, get_signature_algorithm  # only who gets such calls needs it

    public = settings.web.public_url.rstrip("/")
    path = flask.request.full_path.removesuffix("?") if not flask.request.query_string else flask.request.full_path
    fields = flask.request.form.to_dict()
    algorithm = get_signature_algorithm(flask.request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""))
    token = provider.auth_token.get_secret_value() if provider.auth_token else ""
    if not token or not RequestValidator(token).validate(
        f"{public}{path}" if public else flask.request.url,
        fields,
        flask.request.headers.get("X-Twilio-Signature", ""),
        algorithm,
    ):
        raise SignatureInvalid("the signature of Twilio does not hold; is web.public_url the address that it calls?")
    return name, alerts, fields


def _twilio_of(alerts: AlertManagerSettings, name: str) -> tuple[str, SmsProviderSettings] | None:
    """The account of this name; without a name, the only one or the first."""
    for known, provider in alerts.sms.providers.items():
        if kind_of(known, provider) == "twilio" and name in ("", known):
            return known, provider
    return None


def _alibaba_of(alerts: AlertManagerSettings, token: str) -> str | None:
    """The name of the account whose receipts come to this address."""
    for name, provider in alerts.sms.providers.items():
        wanted = provider.receipts_token.get_secret_value() if provider.receipts_token else ""
        if wanted and hmac.compare_digest(wanted.encode(), token.encode("utf-8", "replace")):
            return name
    return None


def _note(notifier: str, message_id: str, report: DeliveryReport) -> None:
    with transaction() as connection:
        now = connection.execute(select(DB_NOW)).scalar_one()
        known = outbox.note_delivery(connection, notifier, message_id, report, now=now)
    level = "warning" if report.state is Delivery.UNDELIVERED else "info"
    getattr(log, level)("sms_receipt", notifier=notifier, state=str(report.state), code=report.code, known=known)


def _take(alerts: AlertManagerSettings, phone: str, text: str) -> str:
    with transaction() as connection:
        now = connection.execute(select(DB_NOW)).scalar_one()
        replied = sms_replies.take(connection, alerts, phone, text[:200], via="sms", now=now)
    log.info("sms_answer", acknowledged=replied.code, known=bool(replied.code or replied.text))
    return replied.text
