"""After everything that went right and wrong: no secret and no word of a message stands where onlookers can read it."""

from __future__ import annotations

import json

import pytest
import requests

from tests.flows.conftest import Told
from tests.flows.scene import Scene
from tests.flows.stack import CANARY_SECRET, CANARY_TEXT, Stack
from tests.flows.stories import POSTGRESQL, SQLITE, TOLD_WITHIN_S, Case, Story
from tests.flows.words import INDIGESTIBLE

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


def _says_and_fails(scene: Scene) -> None:
    """Messages that a provider and a bug stumble over, so that there is something to find."""
    scene.fault("status", "/v1/chat/completions", status=500, body={"error": {"message": f"{CANARY_TEXT} is bad"}})
    scene.says()
    scene.says(f"a little {INDIGESTIBLE}")
    scene.ended(2)


ANYTHING = Story("anything", _says_and_fails, 1, (SQLITE, POSTGRESQL))


def _read(url: str, body: bytes | None = None) -> str:
    headers = {"timestamp": "1", "sign": CANARY_SECRET}
    return requests.request("POST" if body else "GET", url, data=body, headers=headers, timeout=30).text


def _places(stack: Stack, told: Told) -> dict[str, str]:
    """Everything that operators, log collectors and strangers get to see."""
    letter = f'{{"text": "{CANARY_TEXT} {CANARY_SECRET}"}}'.encode()
    found = {log.name: log.read_text(encoding="utf-8", errors="replace") for log in stack.logs}
    found["events"] = "\n".join(told.heard[stack.name].bodies)
    found["refused"] = _read(f"{stack.web}/webhooks/dingtalk", letter)
    found["unknown platform"] = _read(f"{stack.web}/webhooks/pager", letter)
    found["metrics"] = _read(f"{stack.web}/metrics")
    found["traces"] = json.dumps(stack.vendors.otlp.control.call("GET", "/spans"))
    found["readyz"] = _read(f"{stack.web}/readyz")
    return found


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(ANYTHING, SQLITE), id=SQLITE),
        pytest.param(Case(ANYTHING, POSTGRESQL), id=POSTGRESQL, marks=pytest.mark.postgres),
    ],
)
def test_no_secret_and_no_text_is_seen_outside(case: Case, told: Told) -> None:
    told.databases[case.database].result(timeout=TOLD_WITHIN_S)
    told.results[case].result(timeout=TOLD_WITHIN_S)
    places = _places(told.stacks[case.database], told)
    assert "mindbot.generate" in places["events"], "nothing was overheard"
    assert "stage_crashed" in places["worker1.log"] + places["worker2.log"]
    assert "answerer_failed" in places["worker1.log"] + places["worker2.log"]
    assert "signature_invalid" in places["refused"]
    assert "mindbot_" in places["metrics"]
    assert "generate" in places["traces"]
    leaks = {
        name: [line for line in text.splitlines() if CANARY_SECRET in line or CANARY_TEXT in line]
        for name, text in places.items()
    }
    assert {name: lines for name, lines in leaks.items() if lines} == {}
