"""Classify with the conversation in mind, and learning from questions that were asked again."""

from __future__ import annotations

from sqlalchemy import update

from mindbot_tasks import presence
from mindbot_tasks.chat.learned import current
from mindbot_tasks.core.settings import WorkflowSettings
from mindbot_tasks.learn import learn
from mindbot_tasks.model.message import Part, Stage
from mindbot_tasks.stores import learning, workers
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import AnswerRow
from tests.stages.conftest import Configure, Ledger, without_pulse

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
WORKFLOWS = {
    name: WorkflowSettings() for name in ("creative_writing", "data_analysis", "document_processing", "research")
}


def label(ledger: Ledger, message_id: int) -> str:
    return str(ledger.told(message_id).message["label"])


def test_a_follow_up_goes_where_the_conversation_is(configure: Configure, ledger: Ledger) -> None:
    configure(workflows=WORKFLOWS)
    poem = ledger.receive("write a poem about rain")
    ledger.run(poem, C, G, R)
    again = ledger.receive("make it shorter")
    ledger.run(again, C)
    assert (label(ledger, poem), label(ledger, again)) == ("creative_writing", "creative_writing")
    elsewhere = ledger.receive("make it shorter", conversation="other")
    ledger.run(elsewhere, C)
    assert label(ledger, elsewhere) == "general_chat"


def test_the_name_of_a_file_says_what_a_short_text_is_about(configure: Configure, ledger: Ledger) -> None:
    configure(workflows=WORKFLOWS)
    labels = []
    for name in ("sales_2025.xlsx", "contract.pdf"):
        parts = (Part("text", "please have a look"), Part("file", data={"name": name, "unavailable": "too_big"}))
        message_id = ledger.receive(conversation=name)
        ledger.change(
            message_id,
            text="please have a look",
            parts=[{"kind": part.kind, "text": part.text, "data": dict(part.data)} for part in parts],
        )
        ledger.run(message_id, C)
        labels.append(label(ledger, message_id))
    assert labels == ["data_analysis", "document_processing"]


def test_a_question_asked_again_labels_the_first_one(configure: Configure, ledger: Ledger) -> None:
    configure(workflows=WORKFLOWS)
    first, second = ledger.receive("tell me about the sales report"), ledger.receive("summarise the sales report.pdf")
    for message_id in (first, second):
        ledger.run(message_id, C, G, R)
    ledger.change(first, label="research")
    ledger.change(second, label="document_processing", text="tell me about the sales report in short")
    with transaction() as connection:
        connection.execute(
            update(AnswerRow).where(AnswerRow.message_id == second).values(workflow="document_processing")
        )
    assert learn.run() == 1
    with reading() as connection:
        (example,) = learning.examples(connection)
    assert (example.message_id, example.label, example.source) == (first, "document_processing", "reask")
    assert learn.run() == 0  # once in its slot


def test_a_worker_takes_up_a_new_version_while_it_says_that_it_lives(configure: Configure, ledger: Ledger) -> None:
    configure()
    presence.configure(["classify"], lambda: None, lambda: None)
    present = without_pulse(presence.get_presence())
    try:
        with one_statement() as connection:
            workers.take_duty(connection, "sweep", every_ms=0)
        with transaction() as connection:
            version = learning.add_version(connection, current.shipped().dumps(), {})
            learning.activate(connection, version)
        assert present.worker_id
        present._beat()
        assert current.version() == version
    finally:
        current.forget()
        presence.configure([], lambda: None, lambda: None)
