"""The sums that go outside are the same on both databases."""

from __future__ import annotations

import time

from sqlalchemy import Engine

from mindbot_tasks.core.settings import AlertManagerSettings, ProviderSettings, Settings
from mindbot_tasks.exporting import records
from mindbot_tasks.stores import report
from mindbot_tasks.stores.database import reading, transaction
from tests.exporting.rows import fill


def test_the_sums_of_a_busy_installation(engine: Engine, one_day: None) -> None:
    now_ms = int(time.time() * 1000)
    with transaction(engine) as connection:
        fill(connection, now_ms)
    with reading(engine) as connection:
        (spent,) = report.spent_today(connection)
        assert (spent.provider, spent.model, float(spent.cost), spent.calls) == ("openai", "gpt", 2.5, 2)
        assert (spent.input_tokens, spent.output_tokens) == (6, 10)
        documents = {
            (row.base, row.state): (row.documents, row.chunks, row.embedded) for row in report.documents(connection)
        }
        assert documents == {("docs", "ready"): (2, 20, 8), ("docs", "failed"): (1, 10, 4)}
        assert report.open_alerts(connection) == {("critical", "firing"): 1}
        waiting, overdue_ms, now = report.waiting_notifications(connection)
        assert waiting == 1
        assert 50_000 < overdue_ms < 600_000
        assert abs(now - now_ms) < 600_000


def test_the_same_as_gauges_and_nothing_of_an_empty_database_but_zeros(engine: Engine, one_day: None) -> None:
    settings = Settings(providers={"openai": ProviderSettings()}, alert_manager=AlertManagerSettings())
    with reading(engine) as connection:
        empty = list(records.of_database(connection, settings))
    assert all(sample.value == 0 for family in empty for sample in family.samples)
    with transaction(engine) as connection:
        fill(connection, int(time.time() * 1000))
    with reading(engine) as connection:
        full = {family.name: family for family in records.of_database(connection, settings)}
    assert full["mindbot_spent_today"].samples[0].value == 2.5
    assert full["mindbot_knowledge_chunks"].samples[0].value == 30
    assert full["mindbot_reading_response_time_seconds"].samples[0].value == 0.5
