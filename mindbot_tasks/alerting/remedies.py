"""Safe things that a rule may do by itself: which, to what, how often; each is written into the history first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mindbot_tasks.alerting.rules import Rule
from mindbot_tasks.stores import alerts, connections, history, limiter

KIND = "remedy"
DONE = "remedy done"
FAILED = "remedy failed"
TAKEN_BACK = "remedy taken back"
#: an alert with a drained queue that is older has been looked at by somebody
LOOK_BACK_MS = 7 * 86_400_000
#: a provider that was switched off may be asked again after this; the rule may say so once more
OFF_S = 600.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do now."""

    alert_id: int
    action: str
    target: str


def take(connection: Connection, alert_id: int, rule: Rule, members: Sequence[str], *, now: int) -> list[Remedy]:
    """What this rule does now, with an audit row for each; nothing where its limit is reached. In a transaction."""
    wanted = rule.remedy
    if wanted is None:
        return []
    taken: list[Remedy] = []
    done = history.count_of(connection, rule.name, KIND, since=now - int(wanted.within * 1000))
    for target in [wanted.target] if wanted.target else members:
        if done + len(taken) >= wanted.at_most:
            alerts.note(connection, alert_id, rule.name, "remedy not taken", now=now, text="its limit is reached")
            break
        taken.append(Remedy(alert_id, wanted.action, target))
        alerts.note(
            connection, alert_id, rule.name, KIND, now=now, text=f"{wanted.action} {target}",
            data={"action": wanted.action, "target": target},
        )  # fmt: skip
    return taken


def to_undo(connection: Connection, alert_id: int) -> list[Remedy]:
    """What has to be taken back when the alert is over."""
    return [
        Remedy(alert_id, str(one["data"]["action"]), str(one["data"]["target"]))
        for one in history.of(connection, alert_id)
        if one["kind"] == KIND and one["data"].get("action") == "drain"
    ]


def drains(connection: Connection, *, now: int) -> tuple[list[Remedy], list[Remedy]]:
    """Queues that have to stay drained, because their alert is open, and those that were not given back.

    A worker that was started again consumes what it always does, and whoever takes back may be killed before it does.
    """
    told = history.with_alerts(connection, (KIND, TAKEN_BACK), since=now - LOOK_BACK_MS)
    back = {(one["alert_id"], one["at"]) for one in told if one["kind"] == TAKEN_BACK}
    held, left = [], []
    for one in told:
        if one["kind"] != KIND or one["data"].get("action") != "drain":
            continue
        remedy = Remedy(one["alert_id"], "drain", str(one["data"]["target"]))
        if one["resolved_at"] is None:
            held.append(remedy)
        elif not any(alert == one["alert_id"] and at >= one["resolved_at"] for alert, at in back):
            left.append(remedy)
    return held, left


def note(connection: Connection, remedy: Remedy, kind: str, *, now: int, text: str = "") -> None:
    """What became of it, for the history."""
    alerts.note(
        connection, remedy.alert_id, "", kind, now=now, text=f"{remedy.action} {remedy.target} {text}".strip(),
        data={"action": remedy.action, "target": remedy.target},
    )  # fmt: skip


def without_celery(remedy: Remedy, answerers: Sequence[str]) -> list[str] | None:
    """Do what needs no Celery, and say to what; None: somebody else has to do it. Raises redis.RedisError."""
    if remedy.action == "reopen_stream":
        platform, _, bot = remedy.target.partition(":")
        connections.ask_to_reopen(platform, bot)
        return [remedy.target]
    if remedy.action == "switch_provider_off":
        called = answerers_called(remedy.target, answerers)
        for name in called:
            limiter.pause(name, OFF_S)
        return called
    return None


def answerers_called(target: str, answerers: Sequence[str]) -> list[str]:
    """`provider:openai` for `openai` or for itself; an endpoint of a workflow means the workflow. Pure.

    >>> answerers_called("chat/2", ["workflow:chat", "provider:chatglm"])
    ['workflow:chat']
    """
    name = target.partition("/")[0]
    return [one for one in answerers if name in (one, one.partition(":")[2])]


def as_record(remedy: Remedy) -> Mapping[str, object]:
    """For the log."""
    return {"alert": remedy.alert_id, "action": remedy.action, "target": remedy.target}
