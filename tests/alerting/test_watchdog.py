"""The watchdog: what it notices, whom it tells, that it does not repeat itself, and what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from mindbot_tasks.alerting import watchdog, watching
from mindbot_tasks.alerting.watchdog import Watchdog
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.model.alert import Channel, Event
from mindbot_tasks.stores import history
from mindbot_tasks.stores.database import reading, transaction
from tests.alerting.world import Recorder, settings


class Patient:
    """An installation whose parts are well or not as a test says, seen by a watchdog with a clock set by hand."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = 1_780_272_000.0
        self.well: dict[str, bool | None] = dict.fromkeys(("broker", "database", "workers", "beat", "web"), True)
        self.sms, self.email = Recorder("twilio", Channel.SMS), Recorder("email", Channel.EMAIL)
        self.incident = Recorder("pagerduty", Channel.INCIDENT)
        self.past: list[Mapping[str, Any]] = []
        self.pulses: list[float] = []
        self.remembers = True
        self.watchdog = self.born_again()

    def born_again(self) -> Watchdog:
        looks = {part: (lambda part=part: self.well[part], 30.0) for part in self.well}
        notifiers = [self.sms, self.email, self.incident]

        def remember(past: Any) -> bool:
            self.past += past if self.remembers else []
            return self.remembers

        self.watchdog = Watchdog(
            settings(),
            looks,
            notifiers,
            self.file,
            clock=lambda: self.now,
            remember=remember,
            pulse=lambda: self.pulses.append(self.now),
        )
        return self.watchdog

    def pass_s(self, seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            self.now += 5
            self.watchdog.look()


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.setattr(watchdog, "EVERY_S", 60)  # a thread that has to wait for the processor is no part that hangs
    return Patient(tmp_path / "watchdog.json")


def test_dead_workers_are_told_within_ninety_seconds_and_a_restart_is_not(patient: Patient) -> None:
    patient.well["workers"] = False
    patient.pass_s(20)
    patient.well["workers"] = True
    patient.pass_s(60)
    assert not patient.sms.sent
    patient.well["workers"] = False
    patient.pass_s(40)
    assert [(one.recipient, one.short) for one in patient.sms.sent] == [
        ("Ann", "CRITICAL: MindBot workers are gone at 2026-06-01 00:01:25. Immediate attention required.")
    ]


def test_level_after_level_is_told_and_the_end_to_all_of_them(patient: Patient) -> None:
    patient.well["database"] = False
    patient.pass_s(12 * 60)
    assert [one.recipient for one in patient.sms.sent] == ["Ann", "Bob", "Team"]
    assert len(patient.incident.sent) == 1
    patient.well["database"] = True
    patient.pass_s(5)
    over = [one.recipient for one in patient.sms.sent if one.event is Event.RESOLVE]
    assert over == ["Ann", "Bob", "Team"]


def test_what_follows_from_another_trouble_is_not_told(patient: Patient) -> None:
    patient.well |= {"database": False, "workers": False, "beat": False}
    patient.pass_s(60)
    assert [one.component for one in patient.sms.sent] == ["database"]


def test_a_restarted_watchdog_repeats_nothing_and_remembers_what_it_told(patient: Patient) -> None:
    patient.well["beat"] = False
    patient.pass_s(40)
    patient.born_again()
    patient.pass_s(60)
    assert len(patient.sms.sent) == 1
    patient.well["beat"] = True
    patient.pass_s(5)
    assert [one.event for one in patient.sms.sent] == [Event.TRIGGER, Event.RESOLVE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"troubles": {"web": {"x": 1}}, "number": 1, "past": []}'])
def test_a_broken_file_is_no_reason_to_stay_silent(patient: Patient, content: bytes) -> None:
    patient.file.write_bytes(content)
    patient.born_again()
    patient.well["web"] = False
    patient.pass_s(40)
    assert len(patient.sms.sent) == 1


def test_without_sms_there_is_email_and_without_both_it_goes_on_trying(patient: Patient) -> None:
    patient.sms.trouble = Unavailable("x", kind="connection")
    patient.well["broker"] = False
    patient.pass_s(40)
    assert [one.recipient for one in patient.email.sent] == ["Ann"]
    patient.email.trouble = patient.incident.trouble = patient.sms.trouble
    patient.well |= {"broker": True, "web": False}
    patient.pass_s(120)
    patient.sms.trouble = None
    patient.pass_s(120)
    assert "web" in [one.component for one in patient.sms.sent]


def test_the_switch_outside_is_held_while_all_is_well(patient: Patient) -> None:
    patient.pass_s(180)
    assert len(patient.pulses) == 3
    patient.well["workers"] = False
    patient.pass_s(180)
    assert len(patient.pulses) == 3


def test_a_look_that_crashes_says_nothing(patient: Patient) -> None:
    class Broken(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError(key)

    patient.well = Broken()
    patient.pass_s(40)
    assert not patient.sms.sent


def test_outages_that_are_over_go_into_the_history(
    patient: Patient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient.remembers = False
    patient.well["database"] = False
    patient.pass_s(60)
    patient.well["database"] = True
    patient.pass_s(10)
    assert not patient.past
    patient.remembers = True
    patient.pass_s(5)
    (one,) = patient.past
    assert (one["part"], one["told"]) == ("database", 1)
    monkeypatch.setattr(watching, "transaction", lambda: transaction(engine))
    whole = Settings(alert_manager=settings())
    assert watching.remember(whole, patient.past)
    with reading(engine) as connection:
        (row,) = history.listed(connection, state="resolved")
    assert (row["rule"], row["source"], row["resolved_at"] - row["opened_at"]) == (
        "watchdog_database",
        "watchdog",
        60_000,
    )
