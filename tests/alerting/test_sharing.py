"""SMS vendors that take turns: whose turn it is, and who takes over."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import Engine

from mindbot_tasks.alerting import balancing
from mindbot_tasks.alerting.balancing import in_turn, sequence
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.settings.notifiers import SmsSettings
from mindbot_tasks.model.alert import Channel
from tests.alerting.world import SECOND, Recorder, World, settings

VENDORS = [Recorder(name, Channel.SMS) for name in ("a", "b", "c")]


def sms(strategy: str, **weights: int) -> SmsSettings:
    providers = {name: {"weight": weight} for name, weight in weights.items()}
    return SmsSettings.model_validate({"strategy": strategy, "providers": providers})


@pytest.mark.parametrize(
    ("strategy", "weights", "firsts"),
    [
        ("failover", {"a": 1, "b": 9, "c": 1}, {"a": 60}),
        ("round_robin", {"a": 5, "b": 1, "c": 1}, {"a": 20, "b": 20, "c": 20}),
        ("weighted", {"a": 3, "b": 2, "c": 1}, {"a": 30, "b": 20, "c": 10}),
        ("weighted", {"a": 1, "b": 1, "c": 0}, {"a": 30, "b": 30}),
        ("weighted", {"a": 0, "b": 0, "c": 0}, {"a": 60}),
    ],
)  # fmt: skip
def test_each_has_its_share_and_all_others_stand_behind(
    strategy: str, weights: dict[str, int], firsts: dict[str, int]
) -> None:
    orders = [in_turn(VENDORS, sms(strategy, **weights), turn) for turn in range(60)]
    assert Counter(order[0].name for order in orders) == firsts
    for order in orders:
        assert sorted(vendor.name for vendor in order) == ["a", "b", "c"]
        rest = [vendor.name for vendor in order[1:]]
        assert rest == sorted(rest), "in the order of failover"


def test_turns_are_spread_evenly() -> None:
    assert sequence(("a", "b", "c"), (5, 1, 1)) == ("a", "a", "b", "a", "c", "a", "a")


@pytest.mark.parametrize("trouble", [Unavailable("away"), Rejected("no")])
def test_the_load_is_shared_and_a_vendor_that_fails_costs_nobody_an_alert(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr(balancing, "_turns", iter(range(1_000)))
    rules = {f"rule_{n}": {"condition": f"check_value['{n}'] > 0", "severity": "critical", "immediate_sms": True}
             for n in range(8)}  # fmt: skip
    limits = {"burst": 100, "per_hour": 100, "ceiling_per_hour": 100}
    providers = {"twilio": {}, "aws_sns": {}}
    world = World(engine, settings(rules=rules, default_rules=False, limits=limits,
                                   sms={"strategy": "round_robin", "providers": providers}))  # fmt: skip
    for n in range(4):
        world.see(str(n), check_value=1.0)
        world.run(10 * SECOND)
    assert (len(world.sms.sent), len(world.backup.sent)) == (2, 2)
    world.sms.trouble = trouble
    for n in range(4, 8):
        world.see(str(n), check_value=1.0)
        world.run(10 * SECOND)
    assert (len(world.sms.sent), len(world.backup.sent)) == (2, 6)
