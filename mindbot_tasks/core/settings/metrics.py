"""Where the figures are pushed to, for those who do not scrape /metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from mindbot_tasks.core.settings.section import Port, Section, Url


class InfluxDBSettings(Section):
    """A server with InfluxDB's /api/v2/write: InfluxDB, Telegraf, VictoriaMetrics ..."""

    enabled: bool = True
    url: Url
    org: str = ""
    bucket: str
    token: SecretStr | None = None


class StatsDSettings(Section):
    """An agent that listens for StatsD by UDP: DataDog's, Telegraf, statsd_exporter ..."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8125
    tags: bool = True  #: labels as DogStatsD tags; False: as parts of the name, for a plain StatsD
    prefix: str = "mindbot."


class MetricsSettings(Section):
    interval: Annotated[float, Field(ge=1, le=3600)] = 15
    tags: dict[str, str] = {}  #: that every figure gets
    influxdb: InfluxDBSettings | None = None
    statsd: StatsDSettings | None = None

    @property
    def pushed(self) -> bool:
        """Whether anything is to be pushed at all."""
        return self.influxdb is not None or self.statsd is not None
