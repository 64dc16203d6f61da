"""Starts bare chains when told to: number and rate come on standard input, the CPU seconds go out."""

from __future__ import annotations

import importlib
import sys
import time

from celery import chain


def main() -> None:
    app = importlib.import_module(f"benchmarks.bare.{sys.argv[1]}").app
    for line in sys.stdin:
        count, per_s = line.split()
        begun, before = time.perf_counter(), time.process_time()
        for number in range(int(count)):
            if (pause := begun + number / float(per_s) - time.perf_counter()) > 0:
                time.sleep(pause)
            tasks = (app.signature(f"bare.{name}", args=(number,), immutable=True) for name in ("one", "two", "three"))
            chain(*tasks)()
        print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    main()
