"""Five hundred people ask at once about ten thousand pieces of documents, and about a hundred thousand."""

from __future__ import annotations

import asyncio
import re
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

import orjson

from benchmarks import load
from benchmarks.documents import Library
from benchmarks.figures import Bench, Figure, Measured, at_least, at_most
from benchmarks.load import percentile
from benchmarks.processes import free_port, usage_of
from benchmarks.stack import Plan, Stack, stack

AT_ONCE = 500
SIZES = (10_000, 100_000)  #: the first alone in the short form
_MORE = 20_000  #: pieces to be read while questions are asked
_LONGEST_S = 7200.0
_COUNTED = "mindbot_knowledge_query_seconds_count{"


def measure(bench: Bench) -> Measured:
    """One stack for each size: read, ask one by one, all at once in one process and in two, and by messages."""
    sizes = SIZES[:1] if bench.quick else SIZES
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = [("", *(f"{size:,} pieces" for size in sizes))]
    columns: list[dict[str, str]] = []
    raw: dict[str, Any] = {}
    for size in sizes:
        told, column = _of_size(bench, size)
        raw[str(size)] = told
        columns.append(column)
        figures += _figures(size, told)
    rows += [(name, *(column[name] for column in columns)) for name in columns[0]]
    return Measured(
        "Knowledge base",
        f"Documents that a seeded generator makes, half of them Chinese, are read as `worker_ingest` reads them, with the "
        f"offline model and a Chroma server of this machine. Then questions of which the right passage is known: 200 one "
        f"after the other, {AT_ONCE} at the same time by as many threads of one process, and the same in two processes; "
        f"then while `worker_ingest` reads more documents, and {AT_ONCE} messages at once through the whole of MindBot. An error is a search in which anything did not "
        "work. A worker's own memory does not count the pages of the word index, which all processes of a machine share.",
        figures,
        raw,
        {"By size": rows},
    )


def _of_size(bench: Bench, size: int) -> tuple[dict[str, Any], dict[str, str]]:
    folder = bench.folder / f"knowledge-{size}"
    sections: dict[str, object] = {"chromadb": {"base_path": str(folder / "chroma"), "port": free_port()}}
    plan = Plan(
        database=bench.database, sections=sections, environment={"GENERATE_CONCURRENCY": str(AT_ONCE)}, model_words=20
    )
    with stack(plan, folder, roles=False) as up:
        up.start_role("chroma")
        up.processes.wait_until((folder / "run" / "chroma.port").exists, "the vector store")
        bench.say(f"{size:,} pieces are read")
        told: dict[str, Any] = {"filled": _child(up, "fill", str(size))}
        chroma = usage_of(up.processes.pid("chroma"))
        bench.say("questions, one by one and at once")
        told["one"] = _child(up, "ask", str(size), str(AT_ONCE))
        told["two"] = _side_by_side(up, size)
        told["chroma_mb"] = usage_of(up.processes.pid("chroma")).memory_bytes / 1e6
        told["chroma_ms"] = (usage_of(up.processes.pid("chroma")) - chroma).cpu_s * 1000 / _asked(told)
        told["words_mb"] = sum(path.stat().st_size for path in (folder / "words").rglob("*.words")) / 1e6
        told["beside"] = _beside_reading(bench, up, size)
        told["messages"] = _messages(bench, up)
    return told, _column(told)


def _child(up: Stack, *arguments: str) -> Any:
    return _children(up, _command(*arguments))[0]


def _children(up: Stack, *commands: Sequence[str]) -> list[Any]:
    """What each told at its end; how far they are stands on the screen meanwhile."""
    written = up.processes.run(commands, up.environment(), up.folder, timeout_s=_LONGEST_S)
    return [orjson.loads(told.splitlines()[-1]) for told in written]


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.reading_room", *arguments]


def _side_by_side(up: Stack, size: int) -> list[Any]:
    """Two processes that begin at the same moment, with half of the threads each."""
    command = _command("ask", str(size), str(AT_ONCE // 2), str(time.time() + 15))
    return _children(up, command, command)


def _beside_reading(bench: Bench, up: Stack, size: int) -> Any:
    """The same while `worker_ingest` reads more documents than it can in that time."""
    begun = _child(up, "more", str(_MORE))["vectors"]
    up.start_role("worker_ingest")

    def is_at_it() -> bool:
        return int(_child(up, "count")["vectors"]) > begun

    up.processes.wait_until(is_at_it, "the reading", timeout_s=120)
    bench.say("questions beside the reading of more documents")
    told = _child(up, "ask", str(size), str(AT_ONCE))
    told["read"] = int(_child(up, "count")["vectors"]) - begun
    up.processes.stop("worker_ingest")
    return told


def _messages(bench: Bench, up: Stack) -> dict[str, Any]:
    """The same question by everybody: what differs is done by the measurements before."""
    for role in ("web", "worker_fast", "worker_generate", "worker_alerts", "beat"):
        up.start_role(role)
    up.processes.wait_until(up.ready, "the stack")
    question = next(Library().documents(10)).questions[0][0]
    asyncio.run(load.one_after_the_other(up, 20, 10))
    before = _outcomes(up)
    bench.say(f"{AT_ONCE} messages at once")
    run = asyncio.run(load.backlog(up, AT_ONCE, AT_ONCE, in_flight=32, text=question))
    after = _outcomes(up)
    return {
        "answered": len({each.msg_id for each in run.posted} & run.replied_at_ms.keys()),
        "seconds": run.seconds(),
        "outcomes": {name: count - before.get(name, 0) for name, count in after.items()},
        "worker_mb": up.processes.usage_by_name()["worker_generate"].memory_bytes / 1e6,
    }


def _outcomes(up: Stack) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        outcome[1]: int(float(line.rsplit(" ", 1)[1]))
        for line in lines
        if line.startswith(_COUNTED) and (outcome := re.search('outcome="([a-z]+)"', line))
    }


def _rounds(told: dict[str, Any]) -> list[Any]:
    return [*told["one"]["rounds"], *(each for process in told["two"] for each in process["rounds"])]


def _asked(told: dict[str, Any]) -> int:
    return len(told["one"]["single"]["taken_ms"]) + sum(len(each["taken_ms"]) for each in _rounds(told))


def _count(asked: Any) -> int:
    return sum(len(part["taken_ms"]) for part in (asked["single"], *asked["rounds"]))


def _errors(told: dict[str, Any]) -> int:
    parts = [told["one"]["single"], *_rounds(told)]
    troubles = sum(sum(part["troubles"].values()) for part in parts)
    fine = ("found", "nothing")
    return troubles + sum(count for name, count in told["messages"]["outcomes"].items() if name not in fine)


def _busy(asked: Any) -> int:
    """Questions for which nobody had time."""
    return sum(part["troubles"].get("busy", 0) for part in (asked["single"], *asked["rounds"]))


def _by_words(asked: Any) -> int:
    """Questions for which the vectors had no time."""
    return sum(part["troubles"].get("vectors", 0) for part in (asked["single"], *asked["rounds"]))


def _at_once_ms(told: dict[str, Any]) -> list[float]:
    return [taken for each in told["one"]["rounds"] for taken in each["taken_ms"]]


def _per_s(rounds: Sequence[Any]) -> float:
    return max(len(each["taken_ms"]) / each["seconds"] for each in rounds)


def _figures(size: int, told: dict[str, Any]) -> list[Figure]:
    single = told["one"]["single"]["taken_ms"]
    return [
        at_most(f"knowledge, {size:,} pieces: one question, p95", percentile(single, 0.95), 100, "ms", digits=0),
        at_most(f"knowledge, {size:,}: {AT_ONCE} at once, p95", percentile(_at_once_ms(told), 0.95), 5000, "ms", digits=0),
        Figure(f"knowledge, {size:,}: questions per second", f"{_per_s(told['one']['rounds']):.0f}"),
        at_most(f"knowledge, {size:,}: errors", _errors(told), 0.5, "", digits=0),
        at_most(f"knowledge, {size:,}: not searched while documents are read", _busy(told["beside"]), 0.5, "", digits=0),
        at_least(f"knowledge, {size:,}: messages answered of {AT_ONCE} at once", told["messages"]["answered"], AT_ONCE, "", digits=0),
        at_most(f"knowledge, {size:,}: memory of Chroma", told["chroma_mb"], 300 + size * 0.012, "MB", digits=0),
        at_most(f"knowledge, {size:,}: memory of the worker that answered", told["messages"]["worker_mb"], 500, "MB", digits=0),
    ]  # fmt: skip


def _column(told: dict[str, Any]) -> dict[str, str]:
    one, filled, single = told["one"], told["filled"], told["one"]["single"]
    two = [taken for process in told["two"] for each in process["rounds"] for taken in each["taken_ms"]]
    read = told["beside"]
    right = single["right"] / len(single["taken_ms"])
    return {
        "pieces read per second, one process": f"{filled['pieces'] / filled['seconds']:.0f}",
        "CPU of the reading process for a piece": f"{filled['cpu_s'] / filled['pieces'] * 1000:.1f} ms",
        "memory of the reading process": f"{filled['own_mb']:.0f} MB",
        "the first question of a process": f"{one['first_ms']:.0f} ms",
        "one question, p50 / p95": f"{percentile(single['taken_ms'], 0.5):.0f} / {percentile(single['taken_ms'], 0.95):.0f} ms",
        "CPU of a question in the worker / in Chroma": f"{one['cpu_ms']:.1f} / {told['chroma_ms']:.1f} ms",
        "right passage among those found": f"{right:.1%}",
        f"{AT_ONCE} at once, one process, p50 / p95": f"{percentile(_at_once_ms(told), 0.5):.0f} / {percentile(_at_once_ms(told), 0.95):.0f} ms",
        f"{AT_ONCE} at once, two processes, p50 / p95": f"{percentile(two, 0.5):.0f} / {percentile(two, 0.95):.0f} ms",
        "questions per second": f"{_per_s(one['rounds']):.0f}",
        "while documents are read: one question, p50 / p95": f"{percentile(read['single']['taken_ms'], 0.5):.0f} / {percentile(read['single']['taken_ms'], 0.95):.0f} ms",
        f"while documents are read: {AT_ONCE} at once, p95": f"{percentile(_at_once_ms({'one': read}), 0.95):.0f} ms",
        "while documents are read: by words alone / not searched": f"{_by_words(read)} / {_busy(read)} of {_count(read)}",
        f"{AT_ONCE} messages at once, all answered after": f"{told['messages']['seconds']:.1f} s",
        "memory of a process that asks, its own": f"{one['own_mb']:.0f} MB",
        "memory of worker_generate": f"{told['messages']['worker_mb']:.0f} MB",
        "memory of Chroma": f"{told['chroma_mb']:.0f} MB",
        "word index on disk, shared by all": f"{told['words_mb']:.0f} MB",
    }  # fmt: skip
