"""Carries notifications out of the outbox to people: who gets what now, by which vendor, and what if it says no."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from mindbot_tasks.alerting.balancing import in_turn, next_turn
from mindbot_tasks.alerting.rationing import fit_sms, ration
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Throttled
from mindbot_tasks.core.metrics import NOTIFICATIONS
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.core.words import say
from mindbot_tasks.model.alert import AlertState, Channel, Event, Notification, Severity
from mindbot_tasks.notifiers.base import Notifier, Queries, TellsCost
from mindbot_tasks.stores import alerts, outbox
from mindbot_tasks.stores.outbox import Intent
from mindbot_tasks.stores.records import Record

log = structlog.get_logger(__name__)

DAY_MS: Final = 86_400_000
#: where somebody is told when the vendors of a channel have all failed
NEXT_CHANNEL: Final[Mapping[Channel, tuple[Channel, ...]]] = {
    Channel.SMS: (Channel.EMAIL, Channel.CHAT, Channel.INCIDENT),
    Channel.CHAT: (Channel.SMS, Channel.EMAIL, Channel.INCIDENT),
    Channel.EMAIL: (Channel.SMS, Channel.CHAT, Channel.INCIDENT),
    Channel.INCIDENT: (),
    Channel.WEBHOOK: (),
}
#: what a vendor is asked about again: whether it arrived, and then what it cost
_ASKED_ABOUT: Final = ("accepted", "sent", "delivered")
#: what people read is put together when there is too much of it
_RATIONED: Final = (Channel.SMS, Channel.EMAIL, Channel.CHAT)
EMAILS_PER_SMS: Final = 4
#: after every vendor has failed, all are tried again so much later; the last value holds as long as it fires
_AGAIN_S: Final = (15, 30, 60, 120, 300)
#: notices that nobody needs to be woken for are given up after so many tries
_MOST_TRIES_OF_MILD: Final = 6
_SENDERS: Final = 8
SEND_S: Final = 10.0

OpenTransaction = Callable[[], AbstractContextManager[Connection]]
Clock = Callable[[Connection], int]


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed row."""

    row: Record
    attempts: int
    asks: bool = False  #: not to be sent: its vendor is asked what became of it


@dataclass(slots=True)
class Delivered:
    """What one pass has done."""

    sent: int = 0
    failed: int = 0
    held: int = 0
    suppressed: int = 0
    asked: int = 0
    escalate: bool = False  #: somebody could not be reached: the next level is due


@dataclass
class Post:
    """Everything that is needed to send; several threads use it."""

    settings: AlertManagerSettings
    notifiers: Sequence[Notifier]
    transaction: OpenTransaction
    clock: Clock
    send_s: float = SEND_S
    people: Mapping[str, Mapping[Channel, str]] = field(default_factory=dict)  #: name -> addresses

    def of(self, channel: str, recipient: str = "") -> list[Notifier]:
        """Those of a channel, in the order in which they are tried; one alone where it is itself the recipient."""
        all_of = [notifier for notifier in self.notifiers if notifier.channel == channel]
        if channel == Channel.SMS:
            all_of = in_turn(all_of, self.settings.sms, next_turn())
        return [notifier for notifier in all_of if notifier.name == recipient] or all_of


def deliver(post: Post) -> Delivered:
    """One pass over what is due. Raises DatabaseUnavailable; what is claimed then is sent again after two minutes."""
    done = Delivered()
    with post.transaction() as connection:
        jobs = _plan(connection, post, done)
    if not jobs:
        return done
    if len(jobs) == 1:
        _carry(jobs[0], post, done)
        return done
    with ThreadPoolExecutor(min(_SENDERS, len(jobs)), thread_name_prefix="notify") as senders:
        for future in [senders.submit(_carry, job, post, done) for job in jobs]:
            future.result()
    return done


# who gets what now


def _plan(connection: Connection, post: Post, done: Delivered) -> list[Job]:
    now = post.clock(connection)
    outbox.one_planner(connection, now=now)
    jobs: list[Job] = []
    rationed: dict[tuple[str, str], list[Record]] = {}
    for row in outbox.due(connection, now=now):
        if row["status"] in _ASKED_ABOUT:
            jobs.append(Job(row, row["attempts"], asks=True))
        elif row["status"] == "sending":
            # whoever sent it is gone; a message too many is better than silence where it matters
            if Severity(row["severity"]).wakes and not _moot(row):
                jobs += _claim(connection, row, now)
            elif outbox.unknown(connection, row):
                log.warning("notification_unknown", notification=row["id"], channel=row["channel"])
        elif _moot(row):
            outbox.leave_out(connection, [row["id"]], "moot")
        elif row["channel"] in _RATIONED:
            rationed.setdefault((row["channel"], row["address"]), []).append(row)
        else:
            jobs += _claim(connection, row, now)
    if rationed:
        cap = post.settings.limits.cost_per_day
        spent = cap is not None and outbox.cost_since(connection, since=now - DAY_MS) >= cap
        for (channel, address), rows in rationed.items():
            costs = spent and channel == Channel.SMS
            jobs += _ration(connection, Channel(channel), address, rows, post, done, spent=costs, now=now)
    return jobs


def _moot(row: Record) -> bool:
    """Nobody needs to hear any more that it fires."""
    return bool(row["event"] == Event.TRIGGER and row["alert_state"] != AlertState.FIRING)


def _claim(connection: Connection, row: Record, now: int) -> list[Job]:
    return [Job(row, row["attempts"] + 1)] if outbox.claim(connection, row, now=now) else []


def _ration(
    connection: Connection,
    channel: Channel,
    address: str,
    rows: list[Record],
    post: Post,
    done: Delivered,
    *,
    spent: bool,
    now: int,
) -> list[Job]:
    limits = post.settings.limits
    if channel is Channel.EMAIL:  # a mailbox takes more than a phone
        more = ("burst", "per_hour", "ceiling_per_hour")
        limits = limits.model_copy(update={name: getattr(limits, name) * EMAILS_PER_SMS for name in more})
    sent_at = outbox.sent_since(connection, channel, address, since=now - 3_600_000)
    # a message that is tried again with another vendor has had its turn
    fresh = [row for row in rows if row["attempts"] == 0]
    jobs = [job for row in rows if row["attempts"] for job in _claim(connection, row, now)]
    share = ration(fresh, sent_at, limits, spent=spent, now=now)
    for row in share.held:
        outbox.hold(connection, row["id"], until=share.held_until)
    outbox.leave_out(connection, [row["id"] for row in share.left_out], "suppressed")
    done.held += len(share.held)
    done.suppressed += len(share.left_out)
    NOTIFICATIONS.labels(channel, "", "held").inc(len(share.held))
    NOTIFICATIONS.labels(channel, "", "suppressed").inc(len(share.left_out))
    sending = [*share.single, *share.together[:1]]
    if sending and (missed := outbox.suppressed_for(connection, channel, address, since=now - 3_600_000)):
        sending[0] = _with(
            connection, sending[0], say("alerts.sms_suppressed", sending[0]["content"]["lang"], count=missed)
        )
    if len(share.together) > 1:
        first, others = sending[-1], share.together[1:]
        names = ", ".join(dict.fromkeys(str(row["alert_code"]) for row in others))
        lang = first["content"]["lang"]
        sending[-1] = _with(connection, first, say("alerts.sms_more", lang, count=len(others), names=names))
        outbox.leave_out(connection, [row["id"] for row in others], "covered", covered_by=first["id"])
    return [*jobs, *(job for row in sending for job in _claim(connection, row, now))]


def _with(connection: Connection, row: Record, more: str) -> Record:
    """The same, and this said besides; for a summary the SMS may take two parts."""
    content = {**row["content"], "short": fit_sms(row["content"]["short"] + more, parts=2)}
    if content["long_text"]:
        content["long_text"] += f"\n\n{more.strip()}"
        content["long_html"] = content["long_html"].replace("</body>", f"<p>{html.escape(more.strip())}</p></body>")
    outbox.rewrite(connection, row["id"], content)
    return {**row, "content": content}


# carrying one


def _carry(job: Job, post: Post, done: Delivered) -> None:
    if job.asks:
        _ask(job, post, done)
        return
    row = job.row
    tried = list(row["tried"])
    error = row["error"] or "no notifier for this channel"
    wait_s: float | None = None
    hopeless = True
    for notifier in post.of(row["channel"], row["recipient"]):
        if notifier.name in tried:
            continue
        counted = functools.partial(NOTIFICATIONS.labels, row["channel"], notifier.name)
        with post.transaction() as connection:
            if not outbox.call(connection, row["id"], job.attempts, notifier.name, now=post.clock(connection)):
                return  # somebody took it for lost
        try:
            told = notifier.send(notification_of(row), Deadline(post.send_s))
        except (Rejected, RetryableError) as exc:
            error = _describe(notifier, exc)
            tried.append(notifier.name)
            hopeless &= isinstance(exc, Rejected)
            if isinstance(exc, Throttled) and exc.retry_after_s:
                wait_s = min(exc.retry_after_s, wait_s or exc.retry_after_s)
            counted("failed").inc()
            _log_failure(row, notifier, exc)
            _note(post, row, "failed", notifier.name, error)
            continue
        except Exception as exc:  # a notifier with a bug must not keep the next one from being tried
            error = f"{notifier.name}: {type(exc).__name__}"
            tried.append(notifier.name)
            counted("crashed").inc()
            log.exception("notifier_crashed", notifier=notifier.name, notification=row["id"])
            continue
        with post.transaction() as connection:
            now = post.clock(connection)
            queries = isinstance(notifier, Queries)
            outbox.accepted(connection, row["id"], job.attempts, told, queries=queries, now=now)
            alerts.note(
                connection, row["alert_id"], "", "told", now=now, actor=notifier.name,
                text=f"{row['recipient']} by {row['channel']}: {row['event']}", data={"notification": row["id"]},
            )  # fmt: skip
        done.sent += 1
        counted("sent").inc()
        log.info("notification_sent", notification=row["id"], channel=row["channel"], notifier=notifier.name)
        return
    _all_failed(job, post, done, error=error, hopeless=hopeless and not row["tried"], wait_s=wait_s)


def notification_of(row: Mapping[str, Any]) -> Notification:
    """What a notifier gets."""
    content = row["content"]
    return Notification(
        id=row["id"],
        alert_code=row["alert_code"],
        event=Event(row["event"]),
        severity=Severity(row["severity"]),
        recipient=row["recipient"],
        address=row["address"],
        subject=content["subject"],
        short=content["short"],
        long_text=content["long_text"],
        long_html=content["long_html"],
        dedup_key=f"mindbot-{row['alert_code']}",
        component=content["component"],
        at_ms=content["at_ms"],
        lang=content["lang"],
        details=content["details"],
    )


def _describe(notifier: Notifier, exc: FarSideError) -> str:
    """Without its words: they may hold numbers of people."""
    parts = [notifier.name, exc.kind, str(exc.code or ""), str(exc.status or "")]
    return ": ".join(part for part in parts if part)


def _log_failure(row: Record, notifier: Notifier, exc: FarSideError) -> None:
    log.warning(
        "notification_failed", notification=row["id"], channel=row["channel"], notifier=notifier.name, kind=exc.kind,
        code=exc.code, status=exc.status,
    )  # fmt: skip


def _note(post: Post, row: Record, kind: str, actor: str, text: str) -> None:
    with post.transaction() as connection:
        alerts.note(
            connection, row["alert_id"], "", kind, now=post.clock(connection), actor=actor,
            text=f"{row['recipient']} by {row['channel']}: {text}", data={"notification": row["id"]},
        )  # fmt: skip


def _all_failed(job: Job, post: Post, done: Delivered, *, error: str, hopeless: bool, wait_s: float | None) -> None:
    """Every vendor of this channel said no: the next channel at once, and this one again later while it fires.

    `hopeless`: all of them would say no again.
    """
    row = job.row
    trigger = row["event"] == Event.TRIGGER
    wakes = Severity(row["severity"]).wakes
    done.failed += 1
    NOTIFICATIONS.labels(row["channel"], "", "reached_nobody").inc()
    with post.transaction() as connection:
        now = post.clock(connection)
        fallback = _fall_back(connection, row, post, now) if trigger else False
        over = hopeless or (not (trigger and wakes) and job.attempts >= _MOST_TRIES_OF_MILD)
        pause_s = max(wait_s or 0.0, _AGAIN_S[min(job.attempts, len(_AGAIN_S)) - 1])
        again_at = None if over else now + int(pause_s * 1000)
        outbox.put_off(connection, row["id"], job.attempts, tried=[], error=error, next_try_at=again_at)
        if trigger and wakes and not fallback and alerts.hurry(connection, row["alert_id"], now=now):
            done.escalate = True  # not `|=`, which would forget what another thread says meanwhile
    log.error(
        "notification_reached_nobody", notification=row["id"], channel=row["channel"], error=error, fallback=fallback
    )


def _fall_back(connection: Connection, row: Record, post: Post, now: int) -> bool:
    """Tell the same person by another channel; True when that is on its way, or was before."""
    been = [*row["content"].get("been", ()), row["channel"]]
    person = post.people.get(row["recipient"], {})
    for channel in NEXT_CHANNEL[Channel(row["channel"])]:
        address = "" if channel is Channel.INCIDENT else person.get(channel, "")
        if channel in been or not post.of(channel) or not (address or channel is Channel.INCIDENT):
            continue
        content = {**row["content"], "been": been}
        content["long_text"] = content["long_text"] or content["short"]
        intent = Intent(
            alert_id=row["alert_id"],
            event=Event(row["event"]),
            round=0,
            level=row["level"],
            severity=Severity(row["severity"]),
            recipient=row["recipient"],
            channel=channel,
            address=address,
            content=content,
            kind=f"instead of {row['id']}",
        )
        if outbox.put(connection, [intent], now=now):
            alerts.note(
                connection, row["alert_id"], "", "fallback", now=now, text=f"{row['recipient']} by {channel}",
                data={"notification": row["id"]},
            )  # fmt: skip
        return True
    return False


def _ask(job: Job, post: Post, done: Delivered) -> None:
    """What became of it? And, when it has arrived, what did it cost?"""
    row = job.row
    notifier = next((one for one in post.notifiers if one.name == row["notifier"]), None)
    asked = int(row["content"].get("queries", 0))
    report = None
    worth = isinstance(notifier, TellsCost) or row["status"] != "delivered"
    if isinstance(notifier, Queries) and row["provider_message_id"] and worth:
        try:
            report = notifier.query(row["provider_message_id"], notification_of(row), Deadline(post.send_s))
        except (Rejected, RetryableError) as exc:
            log.warning("notification_query_failed", notification=row["id"], notifier=notifier.name, kind=exc.kind)
        done.asked += 1
    with post.transaction() as connection:
        now = post.clock(connection)
        if report is not None:
            outbox.note_delivery(connection, row["notifier"], row["provider_message_id"], report, now=now)
        fresh = outbox.by_id(connection, row["id"])
        if fresh is not None and fresh["status"] in _ASKED_ABOUT and fresh["next_try_at"] is not None:
            open_ = fresh["status"] != "delivered" or (fresh["cost"] is None and isinstance(notifier, TellsCost))
            more = open_ and asked + 1 < outbox.QUERIES and isinstance(notifier, Queries)
            again = now + outbox.QUERY_AFTER_MS * 2 ** (asked + 1) if more else None
            outbox.ask_again_later(connection, fresh, next_try_at=again)
