"""People who answer an alert by SMS: "ack K7Q4", "ok", "收到"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mindbot_tasks.alerting import answering
from mindbot_tasks.core.settings import AlertManagerSettings, RecipientSettings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.model.alert import AlertState, Channel
from mindbot_tasks.stores.tables_alerts import AlertRow, NotificationRow

_REPLY = re.compile(
    r"\s*(?:(?:ack(?:nowledged?)?|ok(?:ay)?)(?![0-9a-z])|收到|确认|知道了)[\s,.:!,。:!]*#?\s*([0-9A-Za-z]{0,12})\W*",
    re.IGNORECASE,
)
_NOT_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, slots=True)
class Replied:
    """What became of an SMS, and what to answer; `text` "": nothing."""

    code: str = ""  #: of the alert that this SMS has acknowledged
    text: str = ""


def code_in(text: str) -> str | None:
    """The code in an acknowledgement, "" for one without a code; None: the SMS says something else."""
    found = _REPLY.fullmatch(text)
    return found[1].upper() if found else None


def sender(settings: AlertManagerSettings, phone: str) -> RecipientSettings | None:
    """Whose number this is; numbers are compared by their digits, with or without a country's prefix."""
    digits = _NOT_DIGITS.sub("", phone)
    if len(digits) < 7:
        return None
    for group in settings.recipients.values():
        for person in group:
            known = _NOT_DIGITS.sub("", person.phone)
            if len(known) >= 7 and (known == digits or known == f"86{digits}" or digits == f"86{known}"):
                return person
    return None


def take(
    connection: Connection, settings: AlertManagerSettings, phone: str, text: str, *, via: str, now: int
) -> Replied:
    """Acknowledge what the SMS is about: the alert it names, else the latest that this person was told of.

    Strangers hear nothing, so that nobody learns what number this is. Run it in a transaction.
    """
    person = sender(settings, phone)
    code = code_in(text)
    if person is None:
        return Replied()
    lang: Lang = lang_of(person.language or settings.language)
    if code is None:
        return Replied(text=say("receipts.how", lang))
    code = code or _latest(connection, person.phone)
    if not code:
        return Replied(text=say("receipts.nothing_open", lang))
    won = answering.acknowledge(connection, code, by=person.name, via=via, now=now)
    if won is None:
        return Replied(text=say("receipts.not_open", lang, code=code))
    return Replied(str(won["code"]), say("receipts.acknowledged", lang, code=won["code"]))


def _latest(connection: Connection, address: str) -> str:
    found = connection.execute(
        select(AlertRow.code)
        .join(NotificationRow, NotificationRow.alert_id == AlertRow.id)
        .where(
            NotificationRow.address == address,
            NotificationRow.channel == Channel.SMS.value,
            AlertRow.state == AlertState.FIRING.value,
            AlertRow.resolved_at.is_(None),
        )
        .order_by(NotificationRow.id.desc())
        .limit(1)
    ).scalar()
    return str(found or "")
