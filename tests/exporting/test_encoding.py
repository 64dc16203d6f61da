"""Figures in the words of InfluxDB and StatsD."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily

from mindbot_tasks.exporting import influx, statsd


class Book:
    """A registry with one of each kind."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("mindbot_calls", "Calls.", ["bot"], registry=self.registry)
        self.ready = Gauge("mindbot_ready", "Ready.", registry=self.registry)
        self.took = Histogram("mindbot_took_seconds", "Took.", ["stage"], buckets=(0.5, 1), registry=self.registry)


def test_a_line_of_influxdb_has_the_labels_as_tags_and_a_histogram_is_one_line() -> None:
    book = Book()
    book.calls.labels("a b,c=d").inc(2)
    book.ready.set(1)
    book.took.labels("reply").observe(0.7)
    lines = (
        influx.encode(book.registry.collect(), {"env": "prod", "empty": ""}, 1_700_000_000_123).decode().splitlines()
    )
    assert sorted(lines) == [
        r"mindbot_calls_total,bot=a_b\,c\=d,env=prod counter=2.0 1700000000123",
        "mindbot_ready,env=prod gauge=1.0 1700000000123",
        "mindbot_took_seconds,env=prod,stage=reply 0.5=0.0,1.0=1.0,+Inf=1.0,count=1.0,sum=0.7 1700000000123",
    ]


_UNESCAPED = r"(?:\\.|[^\\, =])"
_LINE = re.compile(rf"mindbot_x(?:,{_UNESCAPED}+={_UNESCAPED}+)* gauge=\S+ \d+")


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=20)), st.floats())
def test_whatever_a_label_holds_a_line_stays_one_line(labels: dict[str, str], value: float) -> None:
    family = GaugeMetricFamily("mindbot_x", "X.", labels=list(labels))
    family.add_metric(list(labels.values()), value)
    text = influx.encode([family], {}, 1).decode("utf-8", "surrogatepass")
    assert text == "" or (_LINE.fullmatch(text[:-1]) and text.count("\n") == 1)
    for line in statsd.Encoder("mindbot.", {}).lines([family]):
        assert "\n" not in line
        assert line.count("|") <= 2
    for line in statsd.Encoder("mindbot.", {}, tagged=False).lines([family]):
        assert re.fullmatch(r"[A-Za-z0-9_.\-]+:[0-9.e+\-]+\|g", line)


def test_statsd_gets_what_was_counted_since_the_last_time() -> None:
    book = Book()
    book.calls.labels("sales").inc(40)
    encoder = statsd.Encoder("mindbot.", {"env": "prod"})
    assert [line for line in encoder.lines(book.registry.collect()) if "|c" in line] == []  # old news
    encoder.begin()
    book.calls.labels("sales").inc(2)
    book.calls.labels("help").inc()
    for seconds in (0.6, 0.7, 0.8):
        book.took.labels("reply").observe(seconds)
    assert encoder.lines(book.registry.collect(), more={"host": "a"}) == [
        "mindbot.calls:2|c|#env:prod,host:a,bot:sales",
        "mindbot.calls:1|c|#env:prod,host:a,bot:help",
        "mindbot.ready:0|g|#env:prod,host:a",
        "mindbot.took_seconds.count:3|c|#env:prod,host:a,stage:reply",
        "mindbot.took_seconds.sum:2.1|c|#env:prod,host:a,stage:reply",
        "mindbot.took_seconds.p50:0.75|g|#env:prod,host:a,stage:reply",
        "mindbot.took_seconds.p95:0.975|g|#env:prod,host:a,stage:reply",
    ]
    assert [line for line in encoder.lines(book.registry.collect()) if "|c" in line or "p95" in line] == []


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    encoder = statsd.Encoder("", {})
    encoder.begin()
    before, after = Book(), Book()
    before.calls.labels("a").inc(10)
    after.calls.labels("a").inc(3)
    encoder.lines(before.registry.collect())
    assert "calls:3|c|#bot:a" in encoder.lines(after.registry.collect())


def test_a_plain_statsd_gets_labels_in_the_name() -> None:
    book = Book()
    encoder = statsd.Encoder("mindbot.", {"env": "prod"}, tagged=False)
    encoder.begin()
    book.calls.labels("sales.eu west").inc()
    assert "mindbot.calls.sales_eu_west:1|c" in encoder.lines(book.registry.collect())


def test_datagrams_fit_into_a_frame_and_hold_every_line() -> None:
    lines = [f"mindbot.some_name:{number}|g|#a:{'x' * (number % 90)}" for number in range(500)]
    packed = list(statsd.datagrams([*lines, "y" * 5000]))
    assert all(len(datagram) <= statsd.DATAGRAM_BYTES for datagram in packed)
    assert b"\n".join(packed).decode().split("\n") == lines
