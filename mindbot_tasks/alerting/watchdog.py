"""The alarm that needs neither Celery nor a database: looks at everything itself, and sends itself.

It sends by the notifiers, and keeps what it has told in a file, so that a restart repeats nothing. What it saw while
the database was away it writes into the history of alerts when the database is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import orjson
import structlog

from mindbot_tasks.alerting.figures import duration, moment
from mindbot_tasks.alerting.rationing import fit_sms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.metrics import WATCHDOG_NOTICES
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.alert import Channel, Event, Notification, Severity
from mindbot_tasks.notifiers.base import Notifier

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
SEND_S: Final = 8.0
PULSE_S: Final = 60.0
#: what hides what: without a database nobody can say how workers are
HIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "database": ("workers", "beat", "alerts"),
    "broker": ("workers", "beat", "alerts"),
    "workers": ("beat", "alerts"),
    "alerts": ("beat",),  # who notes that beat is there
}


@dataclass(slots=True)
class Trouble:
    """One part that is not well, in seconds since 1970."""

    part: str
    since: float
    told_at: float | None = None  #: the last time somebody was told
    told: int = 0  #: how many levels were told
    times: int = 0  #: how often it was tried


@dataclass(slots=True)
class State:
    """What outlives this process."""

    troubles: dict[str, Trouble] = field(default_factory=dict)
    number: int = 0  #: of notifications, for their ids
    past: list[dict[str, Any]] = field(default_factory=list)  #: over, and not yet in the history of alerts


Look = Callable[[], bool | None]
"""Whether a part is well; None: nobody can say."""
Remember = Callable[[Sequence[Mapping[str, Any]]], bool]
"""Write what is over into the history; False: not now."""


class Watchdog:
    """One look at everything; whoever calls it repeats it."""

    def __init__(
        self,
        settings: AlertManagerSettings,
        looks: Mapping[str, tuple[Look, float]],
        notifiers: Sequence[Notifier],
        file: Path,
        *,
        clock: Callable[[], float] = time.time,
        remember: Remember = lambda _past: True,
        pulse: Callable[[], None] = lambda: None,
    ) -> None:
        """`looks`: part -> how to look at it, and for how many seconds it may be unwell before anybody is told.

        `pulse` is called every minute while all is well: somebody outside notices when it stays away.
        """
        self._pulse = pulse
        self._pulsed_at = float("-inf")
        self._settings = settings
        self._looks = looks
        self._notifiers = notifiers
        self._file = file
        self._clock = clock
        self._remember = remember
        self.state = _load(file)

    def look(self) -> None:
        """Look at everything, tell what has to be told, and keep it in the file. Never raises."""
        verdicts = self._verdicts()
        now = self._clock()
        bad = {part for part, well in verdicts.items() if well is False}
        hidden = {symptom for cause in bad for symptom in HIDES.get(cause, ())}
        for part, well in verdicts.items():
            trouble = self.state.troubles.get(part)
            if well is True and trouble is not None:
                self._over(trouble, now)
            elif well is False and part not in hidden:
                if trouble is None:
                    trouble = self.state.troubles[part] = Trouble(part, now)
                    log.warning("part_unwell", part=part)
                if now - trouble.since >= self._looks[part][1]:
                    self._tell(trouble, now)
        if not bad and now - self._pulsed_at >= PULSE_S:
            self._pulsed_at = now
            self._pulse()
        if self.state.past and self._remember(self.state.past):
            self.state.past = []
        _save(self._file, self.state)

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until told to stop."""
        while not stop.is_set():
            started = time.monotonic()
            try:
                self.look()
            except Exception:  # whatever it is, the last one awake must not fall asleep
                log.exception("watchdog_failed")
            stop.wait(max(0.5, EVERY_S - (time.monotonic() - started)))

    def _verdicts(self) -> dict[str, bool | None]:
        """All looks at the same time: one that hangs must not keep the others."""
        found: dict[str, bool | None] = {}

        def one(part: str, look: Look) -> None:
            try:
                found[part] = look()
            except Exception:  # a look with a bug says nothing
                log.exception("look_failed", part=part)
                found[part] = None

        looks = [(part, look) for part, (look, _) in self._looks.items()]
        threads = [threading.Thread(target=one, args=each, daemon=True) for each in looks]
        for thread in threads:
            thread.start()
        ends_at = time.monotonic() + EVERY_S
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        # whoever has not answered by now hangs
        return {part: found.get(part, False) for part in self._looks}

    # telling

    def _tell(self, trouble: Trouble, now: float) -> None:
        """The next level when it is time: level 1 at once, each further one five minutes after the one before."""
        levels = self._levels()
        if trouble.told_at is not None:
            wait_s = 300.0 if trouble.told < len(levels) else self._settings.repeat_interval
            if now - trouble.told_at < wait_s:
                return
            if trouble.told >= len(levels):
                trouble.told = 0
        elif trouble.times and now - trouble.since < self._looks[trouble.part][1] + 15 * trouble.times:
            return  # nobody could be reached just now
        trouble.times += 1
        people = levels[min(trouble.told, len(levels) - 1)] if levels else []
        reached = self._send(trouble, people, Event.TRIGGER, now)
        if trouble.told + 1 >= len(levels) or not reached:
            reached |= self._services(trouble, Event.TRIGGER, now)
        if reached:
            trouble.told_at = now
            trouble.told += 1

    def _over(self, trouble: Trouble, now: float) -> None:
        del self.state.troubles[trouble.part]
        log.warning("part_well_again", part=trouble.part, after_s=round(now - trouble.since))
        if now - trouble.since >= self._looks[trouble.part][1]:  # a restart is no outage
            self.state.past = [*self.state.past, {**asdict(trouble), "until": now}][-100:]
        if trouble.told_at is None or not self._settings.resolved_notices:
            return
        told = [person for level in self._levels()[: trouble.told] for person in level]
        self._send(trouble, told, Event.RESOLVE, now)
        self._services(trouble, Event.RESOLVE, now)

    def _levels(self) -> list[list[dict[str, str]]]:
        people = [person for group in self._settings.recipients.values() for person in group]
        return [
            [
                {
                    "name": one.name,
                    "sms": one.phone,
                    "email": one.email,
                    "lang": one.language or self._settings.language,
                }
                for one in people
                if one.escalation_level == level
            ]
            for level in sorted({one.escalation_level for one in people})
        ]

    def _send(self, trouble: Trouble, people: Sequence[Mapping[str, str]], event: Event, now: float) -> bool:
        """Each by SMS, else by e-mail; True when somebody was reached."""
        reached = False
        for person in people:
            for channel in (Channel.SMS, Channel.EMAIL):
                if person[channel.value] and self._by(channel, person[channel.value], person, trouble, event, now):
                    reached = True
                    break
        return reached

    def _services(self, trouble: Trouble, event: Event, now: float) -> bool:
        nobody = {"name": "services", "lang": self._settings.language}
        # both, for machines take no harm from a second one
        done = [self._by(channel, "", nobody, trouble, event, now) for channel in (Channel.INCIDENT, Channel.WEBHOOK)]
        return any(done)

    def _by(
        self, channel: Channel, address: str, person: Mapping[str, str], trouble: Trouble, event: Event, now: float
    ) -> bool:
        """By the first vendor of a channel that takes it."""
        lang = cast(Lang, person["lang"])
        what = say(f"alerts.watch_{trouble.part}", lang)
        at = moment(int(trouble.since * 1000), self._settings.timezone)
        key = "watch_up" if event is Event.RESOLVE else "watch_down"
        text = say(f"alerts.{key}", lang, what=what, timestamp=at, duration=duration((now - trouble.since) * 1000))
        self.state.number += 1
        notification = Notification(
            id=int(now * 1000) * 1000 + self.state.number % 1000,
            alert_code=f"W{trouble.part[:3].upper()}",
            event=event,
            severity=Severity.CRITICAL,
            recipient=person["name"],
            address=address,
            subject=f"[MindBot] {text}"[:200],
            short=fit_sms(text),
            long_text=text,
            long_html="",
            dedup_key=f"mindbot-watchdog-{trouble.part}-{int(trouble.since)}",
            component=trouble.part,
            at_ms=int((now if event is Event.RESOLVE else trouble.since) * 1000),
            lang=lang,
            details={"rule": f"watchdog_{trouble.part}", "level": str(trouble.told + 1)},
        )
        for notifier in self._notifiers:
            if notifier.channel != channel:
                continue
            try:
                notifier.send(notification, Deadline(SEND_S))
            except FarSideError as exc:
                WATCHDOG_NOTICES.labels(notifier.name, "failed").inc()
                log.warning("watchdog_notice_failed", notifier=notifier.name, kind=exc.kind, code=exc.code)
                continue
            except Exception:  # a notifier with a bug must not keep the next one from being tried
                WATCHDOG_NOTICES.labels(notifier.name, "crashed").inc()
                log.exception("watchdog_notifier_crashed", notifier=notifier.name)
                continue
            WATCHDOG_NOTICES.labels(notifier.name, "sent").inc()
            log.warning("watchdog_notice_sent", notifier=notifier.name, part=trouble.part, change=str(event))
            return True
        return False


def _load(file: Path) -> State:
    """What an earlier process knew; nothing when the file is broken, for a page too many is better than none."""
    try:
        told = orjson.loads(file.read_bytes())
        troubles = {part: Trouble(**one) for part, one in told["troubles"].items()}
        return State(troubles, int(told["number"]), list(told["past"]))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        log.warning("watchdog_file_unreadable", error=type(exc).__name__)
        return State()


def _save(file: Path, state: State) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(asdict(state)))
        fresh.replace(file)
    except OSError as exc:  # a full disk is one of the things it is there for
        log.warning("watchdog_file_not_written", error=type(exc).__name__)
