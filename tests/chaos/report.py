"""What a trial found, as a table, as JSON and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.checker import Restart, Verdict, percentile
from tests.chaos.history import History


def write(folder: Path, told: History, verdict: Verdict) -> None:
    """`report.json` and `report.txt`; the picture is drawn by `draw`."""
    (folder / "report.json").write_bytes(orjson.dumps(figures(told, verdict), option=orjson.OPT_INDENT_2))
    (folder / "report.txt").write_text(table(told, verdict), encoding="utf-8")


def figures(told: History, verdict: Verdict) -> dict[str, Any]:
    """Everything that can be counted."""
    calm = [restart for restart in verdict.restarts if not restart.disturbed]
    return {
        "settings": told.settings,
        "passed": not verdict.failures,
        "lost": len(verdict.lost),
        "doubled_outside_window": len(verdict.doubled),
        "doubled_in_window": len(verdict.in_window),
        "out_of_order": len(verdict.out_of_order),
        "wrong_conversation": len(verdict.misdirected),
        "never_acknowledged": len(verdict.never_acknowledged),
        "cards_left_hanging": len(verdict.left_hanging),
        "never_noted": verdict.never_noted,
        "restart_s": _spread([restart.after_s for restart in calm]),
        "restart_disturbed_s": _spread([restart.after_s for restart in verdict.restarts if restart.disturbed]),
        "restart_all_s": _spread([restart.after_s for restart in verdict.restarts]),
        "answer_s": _spread(verdict.answer_s),
        "counts": verdict.counts,
        "failures": verdict.failures,
        "in_window": verdict.in_window,
        "slowest_restarts": [_sentence(each) for each in sorted(verdict.restarts, key=lambda r: -r.after_s)[:10]],
    }


def table(told: History, verdict: Verdict) -> str:
    """The same for people."""
    found = figures(told, verdict)
    settings = " ".join(f"{name}={value}" for name, value in told.settings.items())
    rows = [
        ("settings", settings),
        ("platforms", ", ".join(_by_platform(told))),
        ("messages", f"{verdict.counts['messages']} in {verdict.counts['posts']} posts"),
        ("kills", f"{verdict.counts['kills']} of {verdict.counts['faults']} faults"),
        ("lost", found["lost"]),
        ("doubled outside the window", found["doubled_outside_window"]),
        ("doubled in the window", found["doubled_in_window"]),
        ("out of order", found["out_of_order"]),
        ("in a wrong conversation", found["wrong_conversation"]),
        ("never acknowledged", found["never_acknowledged"]),
        ("cards left hanging", found["cards_left_hanging"]),
        ("AIM's, reader killed", len(verdict.never_noted)),
        ("repeats that nobody saw", verdict.counts["refused_repeats"]),
        ("apologies", verdict.counts["apologised"]),
        ("restart of killed work", _words(found["restart_s"])),
        ("... hit again on the way", _words(found["restart_disturbed_s"])),
        ("... all together", _words(found["restart_all_s"])),
        ("acknowledged to answered", _words(found["answer_s"])),
        ("model calls", verdict.counts["model_calls"]),
        ("verdict", "passed" if found["passed"] else "FAILED"),
    ]
    lines = [f"{name:28} {value}" for name, value in rows]
    for promise, sentences in verdict.failures.items():
        lines += ["", f"{promise}:", *(f"  {sentence}" for sentence in sentences[:20])]
    return "\n".join(lines) + "\n"


def draw(folder: Path, told: History) -> Path:
    """`timeline.png`: what waits and how long answers took, with every fault."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    first = min(said.at_ms for said in told.said)
    of_marker = {said.marker: said.msg_id for said in told.said}
    shown: dict[str, int] = {}
    for one in told.shown:
        if msg_id := of_marker.get(one.marker or "", one.msg_id):
            shown.setdefault(msg_id, one.at_ms)
    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(14, 7), layout="constrained")
    steps = sorted(
        [(said.acknowledged_ms, 1) for said in told.said if said.acknowledged_ms is not None]
        + [(shown[said.msg_id], -1) for said in told.said if said.msg_id in shown]
    )
    waiting, height = [], 0
    for _, step in steps:
        height += step
        waiting.append(height)
    above.step([(at - first) / 1000 for at, _ in steps], waiting, where="post", color="black", linewidth=0.8)
    above.set_ylabel("acknowledged, not answered")
    answered = [said for said in told.said if said.acknowledged_ms is not None and said.msg_id in shown]
    below.scatter(
        [((said.acknowledged_ms or 0) - first) / 1000 for said in answered],
        [max(0.001, (shown[said.msg_id] - (said.acknowledged_ms or 0)) / 1000) for said in answered],
        s=3, color="black",
    )  # fmt: skip
    below.set_yscale("log")
    below.set_ylabel("seconds to the answer")
    below.set_xlabel("seconds")
    names = sorted({f"{fault.kind} {fault.target}" for fault in told.faults})
    colours = pyplot.get_cmap("tab20")
    for place, name in enumerate(names):
        for number, fault in enumerate(f for f in told.faults if f"{f.kind} {f.target}" == name):
            for axes in (above, below):
                axes.axvline(
                    (fault.at_ms - first) / 1000, color=colours(place % 20), linewidth=0.7,
                    label=name if number == 0 and axes is above else None,
                )  # fmt: skip
    above.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
    path = folder / "timeline.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _by_platform(told: History) -> list[str]:
    return [f"{name} {number}" for name, number in sorted(Counter(said.platform for said in told.said).items())]


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"n": 0}
    shares = {"p50": 0.5, "p99": 0.99}
    return {
        "n": len(values),
        **{name: round(percentile(values, share), 2) for name, share in shares.items()},
        "max": round(max(values), 2),
    }


def _words(spread: dict[str, float]) -> str:
    if not spread["n"]:
        return "none"
    return f"p50 {spread['p50']:.1f} s, p99 {spread['p99']:.1f} s, max {spread['max']:.1f} s ({spread['n']:.0f})"


def _sentence(restart: Restart) -> str:
    again = ", hit again on the way" if restart.disturbed else ""
    return f"{restart.marker} {restart.after_s:.1f} s after the kill of {restart.target}{again}"
