"""The outcome for people: a table on the terminal, docs/performance.md with its picture, and everything as JSON."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Measured
from benchmarks.processes import ROOT
from benchmarks.stack import redis_server

DOCS = ROOT / "docs"


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    redis = subprocess.run([redis_server(), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Redis": redis.split("v=")[-1].split()[0],
        "load before": f"{os.getloadavg()[0]:.1f}",
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def show(measured: Sequence[Measured]) -> None:
    """The table on the terminal."""
    table = Table("figure", "measured", "budget", "of it", "verdict")
    for each in measured:
        for figure in each.figures:
            share = "" if figure.share is None else f"{figure.share:.0%}"
            colour = {"held": "green", "MISSED": "red"}.get(figure.verdict, "")
            verdict = f"[{colour}]{figure.verdict}[/]" if colour else ""
            table.add_row(figure.what, figure.value, figure.budget, share, verdict)
    Console().print(table)


def save_json(path: Path, measured: Mapping[str, Measured], about: Mapping[str, Any]) -> None:
    """Everything, raw values too."""
    data = {"about": about, "measured": measured}
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def draw(path: Path, measured: Mapping[str, Measured]) -> bool:
    """Small pictures in a row, of those measurements that were made. False: there is nothing to draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    wanted = [name for name in _DRAWN if name in measured]
    if not wanted:
        return False
    figure, axes = pyplot.subplots(1, len(wanted), figsize=(4.6 * len(wanted), 3.6), squeeze=False)
    for axis, name in zip(axes[0], wanted, strict=True):
        _DRAWN[name](axis, measured[name].details)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _draw_message(axis: Any, details: Mapping[str, Any]) -> None:
    names = ["bare chain, stock", "bare chain, our settings", "MindBot"]
    axis.boxplot([details["rounds_ms"][name] for name in names], tick_labels=["bare,\nstock", "bare,\nours", "MindBot"])
    axis.set_ylim(bottom=0)
    axis.set_title("CPU per chain or message, ms")


def _draw_webhook(axis: Any, details: Mapping[str, Any]) -> None:
    for name, values in details["latencies_ms"].items():
        ordered = sorted(values)
        axis.plot(ordered, [(place + 1) / len(ordered) for place in range(len(ordered))], label=name)
    axis.set_xscale("log")
    axis.legend()
    axis.set_title("webhooks answered within ms, 200/s")


def _draw_throughput(axis: Any, details: Mapping[str, Any]) -> None:
    axis.hist(details["added_ms"], bins=40)
    axis.set_title("added to the model's time, ms")


def _draw_knowledge(axis: Any, details: Mapping[str, Any]) -> None:
    for size, told in details.items():
        ordered = sorted(taken for each in told["one"]["rounds"] for taken in each["taken_ms"])
        axis.plot(ordered, [(place + 1) / len(ordered) for place in range(len(ordered))], label=f"{int(size):,} pieces")
    axis.set_xlim(left=0)
    axis.legend()
    axis.set_title("500 searches at once, done within ms")


_DRAWN = {
    "message": _draw_message,
    "webhook": _draw_webhook,
    "throughput": _draw_throughput,
    "knowledge": _draw_knowledge,
}


def write_page(
    path: Path, measured: Mapping[str, Measured], about: Mapping[str, Any], picture: str, *, quick: bool
) -> None:
    """docs/performance.md: the table, then how each figure came about."""
    missed = [figure for each in measured.values() for figure in each.figures if figure.verdict == "MISSED"]
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; do not edit. Ratios hold on other machines, milliseconds do not: "
        "everything here shares "
        "the cores of one machine, the emulators, Redis and the sender too.",
        "",
        f"中文摘要:本页由 `make bench` 生成,所有进程(含 Redis、模拟器与发送端)共用 {about['cores']} 个核心。"
        f"{_summary_zh(measured)}"
        + ("所有预算均已达到。" if not missed else f"未达到的预算:{len(missed)} 项,见下表 MISSED。"),
        "",
    ]
    if quick:
        lines += ["The short form (`--quick`) ran: fewer and shorter rounds, so these figures say less.", ""]
    lines += ["| figure | measured | budget | verdict |", "| --- | --- | --- | --- |"]
    for each in measured.values():
        lines += [f"| {figure.what} | {figure.value} | {figure.budget} | {figure.verdict} |" for figure in each.figures]
    if picture:
        lines += ["", f"![CPU, webhook latency, added latency and searches]({picture})"]
    lines += ["", "## The machine", "", *_rows([("", ""), *((str(k), str(v)) for k, v in about.items())])]
    for each in measured.values():
        lines += ["", f"## {each.title}", "", each.how]
        for heading, rows in each.tables.items():
            lines += ["", f"{heading}:", "", *_rows(rows)]
    notes = ROOT / "benchmarks" / "notes.md"
    if notes.exists():
        lines += ["", notes.read_text(encoding="utf-8").strip()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _summary_zh(measured: Mapping[str, Measured]) -> str:
    if "message" not in measured:
        return ""
    ratio, _, cost = measured["message"].figures
    times = ratio.value.replace(" x", " 倍")
    return f"一条消息从进门到回复耗用 {cost.value} CPU,为一条空的三任务 Celery 链(默认设置)的 {times}。"


def _rows(rows: Sequence[tuple[str, ...]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    head, *rest = rows
    return [line(head), line(["---"] * len(head)), *(line(row) for row in rest)]
