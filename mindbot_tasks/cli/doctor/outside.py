"""Where the figures are pushed to: one is really written."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.core.errors import FarSideError, Unavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.exporting import targets


def look_at_targets(settings: Settings) -> Iterator[Finding]:
    """Whether InfluxDB takes a figure (`mindbot_doctor`), and whether anybody listens where StatsD should be."""
    influxdb, statsd = settings.metrics.influxdb, settings.metrics.statsd
    if influxdb is not None:
        what = "metrics.influxdb"
        try:
            targets.write(influxdb, gzip.compress(f"mindbot_doctor gauge=1 {time.time_ns() // 1_000_000}\n".encode()))
        except Unavailable as exc:
            yield fail(what, "unreachable", "check_network", why=exc)
        except FarSideError as exc:
            yield fail(what, "influxdb_refuses", "influxdb_check", status=exc.status or "-")
        else:
            yield ok(what, "influxdb_fine", bucket=influxdb.bucket)
    if statsd is not None:
        address = f"{statsd.host}:{statsd.port}"
        line = f"{statsd.prefix}doctor:1|g".encode()
        try:
            with targets.connected((statsd.host, statsd.port)) as sock:
                sock.send(line)
                time.sleep(0.2)  # that nobody listens there is told by what comes back, if anything does
                sock.send(line)
        except OSError:
            yield warn("metrics.statsd", "statsd_away", "statsd_start", address=address)
        else:
            yield ok("metrics.statsd", "statsd_sent", address=address)
