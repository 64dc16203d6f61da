"""What kind of request a message is, by the patterns of the reference configuration and worse ones."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.core.settings import WorkflowSettings
from tests.slack import at_most


def workflow(priority: int, *patterns: str, enabled: bool = True) -> WorkflowSettings:
    return WorkflowSettings(task_patterns=list(patterns), priority=priority, enabled=enabled)


WORKFLOWS = {
    "general_chat": workflow(1, "hello|hi|hey|good morning", "how are you|what's up", "help|assist|support|question"),
    "code_analysis": workflow(
        2, "code|programming|function|class|variable", "debug|error|bug|fix|issue", r"python|java|javascript|c\+\+|sql"
    ),
    "document_processing": workflow(3, "document|file|pdf|text|content", "analyze|extract|parse|summarize"),
    "data_analysis": workflow(
        4, "data|statistics|analysis|chart|graph", "calculate|compute|analyze|trend", "excel|csv"
    ),
    "creative_writing": workflow(5, "write|create|generate|compose", "story|article|blog|content|copy"),
    "weather": workflow(9, "天气|气温", "weather"),
}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hi", "general_chat"),
        ("Hello!", "general_chat"),
        ("HEY there", "general_chat"),
        ("what's up?", "general_chat"),
        ("please help me debug this Python error", "code_analysis"),
        ("debugging classes in javascript", "code_analysis"),
        ("is c++ faster", "code_analysis"),
        ("C++", "code_analysis"),
        ("summarize this pdf", "document_processing"),
        ("analyze the data in this csv", "data_analysis"),
        ("calculated trends", "data_analysis"),
        ("write me a story", "creative_writing"),
        ("今天天气怎么样", "weather"),
        ("北京的气温，weather", "weather"),
        ("error", "code_analysis"),
        # one pattern each: the lower priority number wins
        ("help, an error", "general_chat"),
        ("content", "document_processing"),
    ],
)
def test_the_table(text: str, label: str) -> None:
    assert Classifier(WORKFLOWS).classify(text).label == label


@pytest.mark.parametrize(
    "text",
    ["which", "this", "his", "they", "thing", "classic", "profile", "prefix", "database9x", "纳米", "", " ", "?"],
)
def test_a_part_of_a_word_is_no_match(text: str) -> None:
    found = Classifier(WORKFLOWS).classify(text)
    assert (found.label, found.confidence, dict(found.scores)) == ("general_chat", 0.1, {})


def test_all_that_matched_is_scored() -> None:
    found = Classifier(WORKFLOWS).classify("help: this python function has a bug")
    assert found.scores == {"general_chat": 1.0, "code_analysis": 3.0}
    assert 0.5 < found.confidence < 1
    assert "python" in found.reason


def test_more_evidence_is_more_confidence_and_a_rival_is_less() -> None:
    classify = Classifier(WORKFLOWS).classify
    assert classify("python").confidence < classify("python bug").confidence < classify("python bug in code").confidence
    assert classify("python bug and a story").confidence < classify("python bug").confidence


def test_a_workflow_that_is_off_matches_nothing() -> None:
    assert Classifier({"x": workflow(1, "hello", enabled=False)}).classify("hello").scores == {}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*)*x", "(a|aa)+$", "a{1,500}b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    classifier = Classifier({"x": workflow(1, pattern)})
    started = time.monotonic()
    classifier.classify("a" * 100_000 + "!")
    assert time.monotonic() - started < at_most(0.5)


def test_the_patterns_are_compiled_once() -> None:
    assert Classifier.of(WORKFLOWS) is Classifier.of(WORKFLOWS)
    assert Classifier.of(WORKFLOWS, ["x"]) is Classifier.of(WORKFLOWS, ["x"]) is not Classifier.of(WORKFLOWS)
    assert Classifier.of(dict(WORKFLOWS)) is not Classifier.of(WORKFLOWS)


@given(st.text(max_size=300))
def test_any_text_has_a_class(text: str) -> None:
    found = Classifier.of(WORKFLOWS).classify(text)
    assert 0 <= found.confidence <= 1
    assert found.label == "general_chat" or found.label in found.scores


def test_a_bot_may_use_only_some_workflows_and_has_one_for_the_rest() -> None:
    workflows = {"hellos": workflow(1, "hello"), "code": workflow(2, "python")}
    assert Classifier.of(workflows, ["code"]).classify("hello, my python is broken").label == "code"
    assert Classifier.of(workflows, ["code"]).classify("hello", "code").label == "code"
    assert Classifier.of(workflows, ["code"]).classify("hello").label == "general_chat"
