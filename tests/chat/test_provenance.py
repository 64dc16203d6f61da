"""What an answer says about how it came to be: to operators, and to those who are meant to see it."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mindbot_tasks.chat import provenance
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.registry import Route
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores.claims import Claim

PICTURES = Path(__file__).parents[2] / "docs" / "images" / "draw_routing.py"
ROUTE = Route((), "hybrid", True, "code/b", "workflow:code/b", ("workflow:general_chat",))
HELD = Claim(
    message_id=1, attempt=1, stage=Stage.GENERATE, strikes=1, retries=0, platform="chat", bot="default",
    conversation_id=1, conversation_ref="c", conversation_kind="one_to_one", sender_ref="u", text="?", parts=[],
    address={}, verdict=None, label="code", classification={"confidence": 0.8}, time_left_ms=1000,
)  # fmt: skip
ANSWER = Answer("42", "dify", details={"tries": [{"answerer": "workflow:code/b", "outcome": "ok", "ms": 3}]})


def noted(route: Route = ROUTE, offered: str = "", **settings: Any) -> Answer:
    return provenance.noted(ANSWER, route, HELD, Settings.model_validate(settings), "en", offered=offered)


def test_an_answer_without_an_experiment_stays_as_it_is() -> None:
    assert noted(dataclasses.replace(ROUTE, variant="")) is ANSWER


def test_the_variant_is_kept_for_the_tally() -> None:
    assert noted().details["experiment"] == {"variant": "code/b", "answerer": "workflow:code/b"}
    assert noted().details["tries"] == ANSWER.details["tries"]
    assert "routing" not in noted().details


def test_debug_mode_tells_operators_and_nobody_else() -> None:
    found = noted(agent={"integration": {"debug_mode": True}})
    routing: Any = found.details["routing"]
    assert (routing["strategy"], routing["sick"]) == ("hybrid", ["workflow:general_chat"])
    assert (found.text, found.parts) == ("42", ())


def test_a_bot_that_shows_its_routing_says_it_beside_the_text() -> None:
    found = noted(chat={"default": {"show_routing": True}})
    assert found.text == "42", "what models read as history is the answer alone"
    [part] = found.parts
    assert part.text == "_code (80%), hybrid: workflow:code/b (ok)_"


def test_what_people_went_on_with_is_offered() -> None:
    assert [part.text for part in noted(offered="A chart?").parts] == ["💡 A chart?"]


def test_the_pictures_of_the_documentation_are_as_drawn() -> None:
    spec = importlib.util.spec_from_file_location("draw_routing", PICTURES)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    for path, content in drawing.files().items():
        assert path.read_text(encoding="utf-8") == content, f"python docs/images/{PICTURES.name}"


@pytest.mark.parametrize("tries", [None, 7, [3], [{"answerer": "x", "kind": "timeout"}]])
def test_any_details_make_a_line(tries: Any) -> None:
    odd = dataclasses.replace(ANSWER, details={"tries": tries})
    assert provenance.routing_line("code", {}, ROUTE, odd, "zh").startswith("_code(0%)")
