"""A conversation about documents: what follow-ups bring, by rules and with a model that writes them as questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.chat import following, reading, rewriting
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import ChromaSettings, ModelSettings, ProviderSettings, Settings
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.stores import knowledge_version
from tests.knowledge.conftest import Configure, read
from tests.llm.asking import question

DOCUMENTS = {
    "queues.md": "# Queues\n\nConcurrency of a queue is tuned with `mindbot tune`; it proposes a number.\n",
    "queues.zh.md": "# 队列\n\n队列的并发度用 `mindbot tune` 调整 (concurrency, queue);它会测量并给出建议值。\n",
    "database.md": "# Databases\n\nTune PostgreSQL with a pool: the concurrency of all queues needs connections.\n",
    "dingtalk.md": "# DingTalk\n\nConnect DingTalk in Stream mode: no public address is needed.\n",
    "wecom.md": "# WeCom\n\nConnect WeCom by a callback. A public address is needed.\n",
    "translating.md": "# Languages\n\nThe bot answers in Chinese or in English. Shorter answers: thanks.\n",
}
TUNE, CONNECT = "How do I tune the concurrency of a queue?", "How do I connect DingTalk in Stream mode?"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture(scope="module")
def far() -> Iterator[Emulator]:
    with running("openai", "--api-key", "k-right") as emulator:
        yield emulator


@pytest.fixture
def known(configure: Configure, base: str) -> Settings:
    """Found by words alone, which is enough here."""
    settings = configure(chromadb=None)
    for name, text in DOCUMENTS.items():
        read(settings, "mindbot_knowledge", name, text)
    knowledge_version.follow(1)
    return settings


def said(*texts: str) -> tuple[Turn, ...]:
    return tuple(turn for text in texts for turn in (Turn("user", text), Turn("assistant", "...")))


TALKS = [
    ((TUNE,), "and in Chinese?", "queues.zh.md"),
    ((TUNE,), "用中文说", "queues.zh.md"),
    ((TUNE, "用中文说"), "and in English?", "queues.md"),
    ((TUNE,), "shorter please", "queues.md"),
    ((TUNE,), "give me an example", "queues.md"),
    ((TUNE,), "why?", "queues.md"),
    ((TUNE,), "详细一点", "queues.md"),
    ((TUNE,), "and for PostgreSQL?", "database.md"),
    ((TUNE,), "what about Kafka?", ""),
    ((TUNE,), "thanks", ""),
    ((CONNECT,), "does it need a public address?", "dingtalk.md"),
    ((CONNECT,), "and WeCom?", "wecom.md"),
    ((CONNECT, "and WeCom?"), "does it need a public address?", "wecom.md"),
    ((CONNECT, "and WeCom?", "thanks"), "in more detail", "wecom.md"),
    ((CONNECT,), TUNE, "queues.md"),
]


def test_follow_ups_bring_what_the_talk_is_about(known: Settings) -> None:
    brought = {}
    for earlier, text, _ in TALKS:
        found = reading.knowledge_for(question(text, history=said(*earlier)), known, Deadline(60))
        brought[earlier, text] = found.passages[0].source if found.passages else ""
        assert found.nothing_read == (text == "what about Kafka?")
    assert brought == {(earlier, text): best for earlier, text, best in TALKS}


class TestWrittenByAModel:
    """`chromadb.follow_up_model`."""

    @pytest.fixture
    def asking(self, configure: Configure, far: Emulator) -> Settings:
        far.control.reset()
        models = [ModelSettings(name="small")]
        return configure(
            chromadb=ChromaSettings(follow_up_model="openai/small"),
            providers={
                "openai": ProviderSettings(base_url=f"{far.url}/v1", api_key=SecretStr("k-right"), models=models)
            },
        )

    def wanted(self, settings: Settings, text: str, *earlier: str) -> following.Wanted:
        asked = question(text, history=said(*earlier))
        by_rules = following.wanted(text, asked.history)
        return rewriting.rewritten(by_rules, asked, settings, Deadline(60))

    def test_a_follow_up_is_looked_up_as_the_model_writes_it(self, asking: Settings, far: Emulator) -> None:
        whole = '"How do I tune the concurrency with PostgreSQL?"'
        far.control.fault("answer", text=f"{whole}\nThat is what they mean.")
        assert self.wanted(asking, "and for Postgres?", TUNE).query == whole.strip('"')
        [call] = far.control.calls()
        assert call["messages"] == 2  # what it is to do, and the talk as one text

    @pytest.mark.parametrize("text", [TUNE, "and in Chinese?", "thanks"])
    def test_nobody_is_asked_where_there_is_nothing_to_write(self, asking: Settings, far: Emulator, text: str) -> None:
        self.wanted(asking, text, CONNECT)
        assert not far.control.calls()

    @pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "answer", "text": "x" * 600}])
    def test_the_rules_do_where_the_model_does_not(
        self, asking: Settings, far: Emulator, fault: dict[str, Any]
    ) -> None:
        far.control.fault(fault.pop("kind"), **fault)
        assert self.wanted(asking, "and for Postgres?", TUNE).query == f"for Postgres {TUNE}"
