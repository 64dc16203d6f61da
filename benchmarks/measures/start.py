"""How fast processes start, what the web process must not import, and what each role weighs at rest."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from benchmarks.figures import Bench, Figure, Measured, at_most
from benchmarks.processes import ROOT
from benchmarks.stack import Plan, Stack, stack, start_roles

_IMPORT = """
import json, sys, time
started = time.perf_counter()
import webhooks.app
took = time.perf_counter() - started
print(json.dumps([took, sorted(name for name in ("langchain", "langchain_core", "chromadb") if name in sys.modules)]))
"""


def measure(bench: Bench) -> Measured:
    """Import, start, and ten seconds of nothing."""
    with stack(Plan(database=bench.database), bench.folder / "start", roles=False) as up:
        bench.say("import webhooks.app")
        imports = [_import(up) for _ in range(3)]
        bench.say("a worker alone")
        ready = _worker_ready(up)
        start_roles(up)
        seconds = bench.of(3, 10)
        bench.say(f"everything, idle for {seconds} s")
        time.sleep(2)
        before, commands = up.processes.usage_by_name(), _commands(up)
        time.sleep(seconds)
        after, commands = up.processes.usage_by_name(), _commands(up) - commands
    kinds = up.processes.kinds()
    idle = sum((after[name] - before[name]).cpu_s for name in after if kinds[name] == "ours") / seconds * 100
    rows: list[tuple[str, ...]] = [("", "memory", "CPU when idle")]
    for name, used in after.items():
        cpu = (used - before[name]).cpu_s / seconds * 100
        rows.append((name, f"{used.memory_bytes / 1e6:.0f} MB", f"{cpu:.1f} %"))
    heavy = sorted({name for _, names in imports for name in names})
    return Measured(
        "Start and rest",
        "`import webhooks.app` in a fresh interpreter (median of three), a worker from its start until it answers that "
        "it is ready, then every role of the Procfile that answers messages, left alone. Memory is proportional: pages "
        "that several processes share count once.",
        [
            at_most("import webhooks.app", statistics.median(took for took, _ in imports), 1, "s", digits=2),
            Figure("heavy modules in the web process", ", ".join(heavy) or "none", "none", 2.0 if heavy else 0.0),
            at_most("a worker is ready after", ready, 5, "s"),
            Figure("the whole stack is ready after", f"{up.ready_s['all']:.1f} s"),
            Figure("CPU of all processes when idle", f"{idle:.1f} % of a core"),
            Figure("Redis commands per second when idle", f"{commands / seconds:.1f}"),
        ],
        {"imports_s": [took for took, _ in imports]},
        {"Each role at rest": rows},
    )


def _import(up: Stack) -> tuple[float, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], env=up.environment("web"), cwd=ROOT, check=True, capture_output=True, text=True
    )
    took, names = json.loads(done.stdout.splitlines()[-1])
    return float(took), list(names)


def _worker_ready(up: Stack) -> float:
    """Until its own line in the ledger's log says so."""
    started = time.monotonic()
    up.start_role("worker_generate")
    log = up.folder / "worker_generate.log"
    up.processes.wait_until(lambda: "worker_registered" in log.read_text(errors="replace"), "a worker")
    took = time.monotonic() - started
    up.processes.stop("worker_generate")
    return took


def _commands(up: Stack) -> int:
    with up.redis() as client:
        info = client.info("stats")
        return int(info["total_commands_processed"]) if isinstance(info, dict) else 0
