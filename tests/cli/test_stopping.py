"""The order in which everything ends, and how long each may take."""

from __future__ import annotations

import pytest

from mindbot_tasks.cli.supervision.supervisor import stop_steps


@pytest.mark.parametrize("guard_s", [25.0, 600.0])
def test_workers_are_not_killed_before_their_own_guard_ends_them_and_soon_after_all_is_over(guard_s: float) -> None:
    steps = {role: step for step in stop_steps(guard_s) for role in step.roles or {"workers"}}
    assert min(steps["workers"].kill_at_s, steps["bridges"].kill_at_s) > guard_s
    assert max(step.kill_at_s for step in steps.values()) == steps["redis"].kill_at_s <= guard_s + 5
