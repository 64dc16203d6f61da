"""The learned layer: what it sees, how good it is, how it goes together with patterns and the talk before."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.learned import current, examples, measuring, model
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.chat.learned.features import HEAD_CHARS, TAIL_CHARS, features
from mindbot_tasks.chat.learned.reasks import SOON_MS, alike, reasks
from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.core.settings import ClassifierSettings, WorkflowSettings
from mindbot_tasks.stores.learning import Asked
from tests.slack import at_most

KINDS = ("general_chat", "code_analysis", "document_processing", "data_analysis", "creative_writing", "research")
#: the patterns of the reference configuration, whose words mean little by themselves
REFERENCE = {
    "general_chat": ["hello|hi|hey|good morning|good afternoon", "help|assist|support|question"],
    "code_analysis": ["code|programming|function|class|variable", "debug|error|bug|fix|issue", "python|java|sql"],
    "document_processing": ["document|file|pdf|text|content", "analyze|extract|parse|summarize", "read|process|review"],
    "data_analysis": ["data|statistics|analysis|chart|graph", "calculate|compute|analyze|trend", "excel|csv|query"],
    "creative_writing": ["write|create|generate|compose", "story|article|blog|content|copy"],
    "research": ["research|find|search|investigate", "information|facts|details|sources", "study|learn|explain"],
}
MINUTE_MS = 60_000


def workflows(patterns: dict[str, list[str]] | None = None, **more: list[str]) -> dict[str, WorkflowSettings]:
    given = {**{kind: (patterns or {}).get(kind, []) for kind in KINDS}, **more}
    return {name: WorkflowSettings(task_patterns=list(ones)) for name, ones in given.items()}


def classifier(patterns: dict[str, list[str]] | None = None, **more: list[str]) -> Classifier:
    return Classifier(workflows(patterns, **more), current.shipped())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("write a SQL query that lists unpaid orders", "code_analysis"),
        ("分析一下这段代码", "code_analysis"),
        ("帮我查一下深圳的落户政策", "research"),
        ("总结这份PDF", "document_processing"),
        ("write an article about our database product for the newsletter", "creative_writing"),
        ("explain this contract clause", "document_processing"),
        ("用excel统计一下各部门的人数", "data_analysis"),
        ("你好呀,在忙吗", "general_chat"),
        ("thanks, that helped a lot", "general_chat"),
    ],
)
@pytest.mark.parametrize("patterns", [None, REFERENCE], ids=["no patterns", "the reference's patterns"])
def test_it_is_right_where_single_words_mislead(text: str, label: str, patterns: dict[str, list[str]] | None) -> None:
    assert classifier(patterns).classify(text).label == label


def test_it_is_right_in_nine_of_ten_messages_it_has_not_seen_and_better_than_either_layer_alone() -> None:
    wanted = examples.held_out()
    assert not {_bare(one.text) for one in examples.shipped()} & {_bare(one.text) for one in wanted}
    accuracy = {}
    for layer, made in {
        "both": classifier(REFERENCE),
        "learned": classifier(),
        "patterns": Classifier(workflows(REFERENCE)),
    }.items():
        judged, _ = measuring.judge(wanted, lambda text, made=made: _label(made, text))  # type: ignore[misc]
        accuracy[layer] = {
            lang: measuring.report(some).accuracy for lang, some in measuring.by_language(judged).items()
        }
    for lang in ("en", "zh"):
        assert accuracy["both"][lang] >= 0.92
        assert accuracy["both"][lang] >= accuracy["learned"][lang] >= 0.92 > accuracy["patterns"][lang]


def test_it_is_right_in_nine_of_ten_careless_messages_that_nobody_trained_it_with() -> None:
    wanted = examples.chatty()
    assert not {_bare(one.text) for one in examples.shipped()} & {_bare(one.text) for one in wanted}
    counts = Counter((one.label, one.lang) for one in wanted)
    assert min(counts[kind, lang] for kind in KINDS for lang in ("en", "zh")) >= 25
    for made in (classifier(REFERENCE), classifier()):
        judged, _ = measuring.judge(wanted, lambda text, made=made: _label(made, text))  # type: ignore[misc]
        for some in measuring.by_language(judged).values():
            told = measuring.report(some)
            assert told.accuracy >= 0.92
            assert min(one.f1 for one in told.labels) >= 0.88


def _bare(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _label(made: Classifier, text: str) -> tuple[str, float]:
    found = made.classify(text)
    return found.label, found.confidence


def test_the_shipped_set_has_at_least_sixty_utterances_of_each_kind_in_each_language() -> None:
    counts: dict[tuple[str, str], int] = {}
    for one in examples.shipped():
        counts[one.label, one.lang] = counts.get((one.label, one.lang), 0) + 1
    assert min(counts[kind, lang] for kind in KINDS for lang in ("en", "zh")) >= 60


def test_the_shipped_version_was_trained_from_the_shipped_set() -> None:
    told = current.shipped().about
    assert told["labels"] == Counter(one.label for one in examples.shipped())
    assert told["examples"] == len(examples.shipped())


def test_a_usual_message_takes_less_than_two_milliseconds() -> None:
    made = classifier(REFERENCE)
    took = []
    for one in examples.held_out():
        started = time.perf_counter()
        made.classify(one.text)
        took.append(time.perf_counter() - started)
    assert median(took) < at_most(0.002)


def test_a_workflow_that_the_model_does_not_know_is_found_by_its_patterns_only() -> None:
    made = classifier(leave=["年假|调休", "annual leave"])
    assert made.classify("我还有几天年假").label == "leave"
    assert made.classify("how much annual leave do I have").label == "leave"
    assert made.classify("写一首关于秋天的诗").label == "creative_writing"


def test_a_pattern_of_a_word_that_the_model_never_saw_decides() -> None:
    text = "what is the state of zorblax 7"
    assert classifier().classify(text).label != "data_analysis"
    assert classifier({"data_analysis": ["zorblax"]}).classify(text).label == "data_analysis"


def test_what_is_not_enabled_is_never_found() -> None:
    some = {name: one for name, one in workflows().items() if name in ("code_analysis", "general_chat")}
    found = Classifier(some, current.shipped()).classify("write a poem about the sea")
    assert (found.label, "creative_writing, which is off here" in found.reason) == ("general_chat", True)
    off = {**workflows(), "research": WorkflowSettings(enabled=False)}
    assert Classifier(off, current.shipped()).classify("who discovered penicillin?", "code_analysis").label == (
        "code_analysis"
    )


def test_without_a_model_the_patterns_decide_alone() -> None:
    rules = ClassifierSettings(enabled=False)
    found = Classifier.of(workflows(REFERENCE), rules=rules).classify("write a SQL query")
    assert found.reason.startswith("pattern: ")


@pytest.mark.parametrize("text", ["继续", "再短一点", "make it shorter", "and for last month?", "用英文说一遍"])
def test_what_only_makes_sense_after_something_stays_where_the_conversation_is(text: str) -> None:
    made = classifier()
    assert made.classify(text).label == "general_chat"
    for before in ("creative_writing", "data_analysis"):
        found = made.classify(text, recent=[(before, MINUTE_MS)])
        assert (found.label, "context" in found.reason) == (before, True)


def test_the_conversation_counts_less_with_time_and_with_what_was_said_since() -> None:
    made = classifier()

    def weight(*recent: tuple[str, int]) -> float:
        context = made.explain("继续", recent=list(recent)).context
        return context.weight if context else 0.0

    now, later = weight(("research", 0)), weight(("research", 10 * MINUTE_MS))
    assert (now, later) == (1.0, 0.5)
    assert weight(("general_chat", 0), ("research", 0)) == 0.7
    assert weight(("research", 24 * 60 * MINUTE_MS)) == 0
    assert weight(("no longer there", 0)) == 0


def test_a_clear_message_leaves_the_conversation_at_once() -> None:
    found = classifier().classify("write a python function that sorts a list", recent=[("creative_writing", 1000)])
    assert found.label == "code_analysis"


def test_below_the_threshold_it_follows_the_conversation_and_else_the_default() -> None:
    made = Classifier(workflows(), current.shipped(), ClassifierSettings(threshold=1.0))
    text = "the one with the blue lid"
    assert made.classify(text, recent=[("research", 0)]).label == "research"
    assert made.classify(text, "data_analysis").label == "data_analysis"
    assert made.classify(text).label == "general_chat"
    alone = Classifier(workflows(), current.shipped(), ClassifierSettings(threshold=1.0, sticky_minutes=0))
    assert alone.classify(text, recent=[("research", 0)]).label == "general_chat"


def test_an_explanation_names_everything_that_counted() -> None:
    found = classifier(REFERENCE).explain("please debug my python function", recent=[("research", 0)])
    assert found.outcome.label == "code_analysis"
    assert set(found.hits["code_analysis"].words) == {"function", "debug", "python"}
    assert found.pieces["code_analysis"][0].weight > 0
    assert found.context is not None
    assert found.context.label == "research"
    assert sum(found.learned.values()) == pytest.approx(1)
    assert sum(found.fused.values()) == pytest.approx(1)


@given(st.text(max_size=400))
def test_any_text_has_probabilities(text: str) -> None:
    assert sum(current.shipped().probabilities(text).values()) == pytest.approx(1)
    assert classifier(REFERENCE).classify(text).label in KINDS


def test_a_long_text_costs_no_more_than_its_beginning_and_end() -> None:
    assert len(features("word " * 100_000)) < 12 * (HEAD_CHARS + TAIL_CHARS)


def test_a_model_survives_being_written_and_read() -> None:
    shipped = current.shipped()
    again = model.loads(shipped.dumps())
    text = "帮我看看这段python"
    assert again.probabilities(text) == pytest.approx(shipped.probabilities(text), abs=1e-3)


@given(st.binary(max_size=200) | st.just(b"{}") | st.just(b'{"features": 1, "labels": 3}'))
def test_whatever_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        model.loads(data)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('{"text": "a", "label": "b"}\n\n{"text": 1, "label": "b"}', ":3: 'text' must be a text"),
        ('{"text": "a"}', ":1: 'label' must be a text"),
        ("not json", ":1: not JSON"),
        ('["a", "b"]', ":1: must be an object"),
        ("\n", "there is no example in it"),
    ],
)
def test_a_bad_line_is_told_with_file_and_number(lines: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "labelled.jsonl"
    file.write_text(lines)
    with pytest.raises(PayloadInvalid, match=complaint.replace("'", ".")) as raised:
        examples.read(file)
    assert str(file) in str(raised.value)


@given(st.binary(max_size=300))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        found = list(examples._read(data, "x", "file"))
    except PayloadInvalid:
        return
    assert all(one.text.strip() and one.label for one in found)


def test_the_figures_of_a_report() -> None:
    def judged(was: str, taken: str) -> measuring.Judged:
        return measuring.Judged(Labelled("t", was, "en"), taken, 0.5)

    found = measuring.report(
        [judged("a", "a"), judged("a", "b"), judged("b", "b"), judged("follow_up", "general_chat")]
    )
    assert (found.accuracy, found.confusion["a", "b"]) == (0.75, 1)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found.calibration_error == pytest.approx(0.25)


def asked(number: int, text: str, label: str, at_ms: int, *, sender: str = "u", **other: object) -> Asked:
    values = {"workflow": label, "disliked": False} | other
    return Asked(number, 1, sender, text, label, received_at=at_ms, **values)  # type: ignore[arg-type]


def test_a_question_that_was_asked_again_was_what_the_second_answer_was_for() -> None:
    first = asked(1, "帮我看看这个报告的内容", "research", 0)
    again = asked(2, "帮我看看这个报告的内容,总结一下", "document_processing", 30_000)
    assert list(reasks([first, again])) == [(1, "document_processing")]
    for spoilt in (
        asked(2, again.text, "document_processing", SOON_MS + 1),
        asked(2, again.text, "document_processing", 30_000, sender="other"),
        asked(2, again.text, "document_processing", 30_000, disliked=True),
        asked(2, again.text, "document_processing", 30_000, workflow=""),
        asked(2, again.text, "research", 30_000),
        asked(2, "晚上吃什么", "general_chat", 30_000),
    ):
        assert list(reasks([first, spoilt])) == []


def test_short_or_very_different_lengths_are_not_alike() -> None:
    assert not alike("ok", "ok")
    assert not alike("sales report", "sales report " * 10)
    assert alike("Summarise the sales report", "summarize the sales report, please")
