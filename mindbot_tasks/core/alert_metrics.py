"""The metrics that rules of alerts can speak of: names, units and what they mean, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Unit = Literal["ratio", "ms", "s", "count", "per_minute", "bytes", "flag", "text"]

#: names of metrics that plugins bring begin so; nobody knows them before the plugins are loaded
PLUGIN_PREFIX: Final = "plugin."


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that can be compared; `about`: what its subjects are, "" when there is only one value."""

    name: str
    unit: Unit
    about: str
    english: str
    chinese: str
    states: tuple[str, ...] = ()  #: what a text can be


CONNECTED: Final = "connected"
DISCONNECTED: Final = "disconnected"
_STATES: Final = (CONNECTED, DISCONNECTED)

_ALL: Final = (
    # platforms
    Metric("dingtalk_connection_status", "text", "bot", "DingTalk stream connection of a bot",
           "机器人的钉钉 Stream 连接状态", _STATES),
    Metric("connection_status", "text", "bot", "Connection of a bot of another platform that holds one (AIM)",
           "其他需要长连接的机器人的连接状态(AIM)", _STATES),
    Metric("platform_ok", "flag", "bot", "1 unless a bot has a trouble of its own", "机器人自身无故障时为 1"),
    Metric("platform_check_failed", "count", "bot", "Checks of a bot's credentials that failed in a row",
           "机器人凭证连续检查失败的次数"),
    Metric("platform_token_left", "s", "bot", "How long a bot's access token is still good", "访问令牌剩余有效期"),
    Metric("platform_inbound_age", "s", "bot", "Since a bot last heard something", "距机器人上次收到消息的时间"),
    # answers
    Metric("dify_health_check_failed", "count", "endpoint", "Checks of a Dify app that failed in a row",
           "Dify 应用连续检查失败的次数"),
    Metric("dify_error_rate", "ratio", "endpoint",
           "Share of the last five checks of a Dify app that failed, or of its calls of three minutes, if that is more",
           "Dify 应用最近 5 次检查或近 3 分钟调用的失败比例(取较大者)"),
    Metric("dify_response_time", "ms", "endpoint", "How long a Dify app took to answer a check",
           "Dify 应用响应检查的耗时"),
    Metric("provider_check_failed", "count", "provider", "Checks of a provider that failed in a row",
           "模型提供方连续检查失败的次数"),
    Metric("provider_success_rate", "ratio", "provider or workflow", "Share of calls that were answered, of 10 minutes",
           "近 10 分钟调用成功的比例"),
    Metric("provider_response_time", "ms", "provider or workflow", "Mean time of an answer, of 10 minutes",
           "近 10 分钟回答的平均耗时"),
    Metric("error_rate", "ratio", "", "Share of messages that ended without their answer, of 5 minutes",
           "近 5 分钟未得到回答的消息比例"),
    Metric("response_time", "ms", "", "Mean time from a message to its answer, of 5 minutes",
           "近 5 分钟从收到消息到回复的平均耗时"),
    Metric("throughput", "per_minute", "", "Messages per minute, of 5 minutes", "近 5 分钟每分钟的消息数"),
    Metric("active_users", "count", "", "People who wrote in the last 15 minutes", "近 15 分钟活跃用户数"),
    Metric("quarantined_messages", "count", "", "Messages given up as harmful or lost, of 10 minutes",
           "近 10 分钟被隔离的消息数"),
    Metric("unfinished_messages", "count", "", "Messages on their way", "处理中的消息数"),
    Metric("budget_used", "ratio", "budget", "Share of a spending limit that is used", "预算已使用的比例"),
    # the machinery
    Metric("database_up", "flag", "", "1 while the database answers", "数据库有响应时为 1"),
    Metric("database_response_time", "ms", "", "How long the database takes for one statement", "数据库单条语句耗时"),
    Metric("database_pool_usage", "ratio", "", "Share of this worker's database connections in use",
           "工作进程数据库连接的占用比例"),
    Metric("broker_up", "flag", "", "1 while the broker answers", "消息代理有响应时为 1"),
    Metric("broker_response_time", "ms", "", "How long the broker takes to answer", "消息代理响应耗时"),
    Metric("redis_memory_usage", "ratio", "", "Share of Redis' memory limit in use, where it has one",
           "Redis 内存上限的使用比例(若有上限)"),
    Metric("queue_depth", "count", "queue", "Tasks that wait in a queue of the broker", "消息代理队列中等待的任务数"),
    Metric("queue_age", "s", "", "How long the oldest message waits that nobody has started",
           "最早一条未开始处理的消息的等待时间"),
    Metric("queue_canary_age", "s", "queue", "Since a task last came through a queue", "距上次有任务通过队列的时间"),
    Metric("workers", "count", "", "Living worker processes", "存活的工作进程数"),
    Metric("unserved_queues", "count", "", "Queues of messages that no living worker serves",
           "没有工作进程服务的消息队列数"),
    Metric("beat_age", "s", "", "Since beat last asked for anything, which it does every 5 s",
           "距 beat 上次触发任务的时间(每 5 秒一次)"),
    Metric("web_up", "flag", "", "1 while the web side says that it lives", "Web 服务存活时为 1"),
    Metric("flower_up", "flag", "", "1 while Flower answers", "Flower 有响应时为 1"),
    Metric("vector_store_up", "flag", "", "1 while the vector store answers", "向量库有响应时为 1"),
    Metric("cpu_usage", "ratio", "machine", "Processor in use", "CPU 使用率"),
    Metric("memory_usage", "ratio", "machine", "Memory in use", "内存使用率"),
    Metric("disk_usage", "ratio", "machine", "Disk in use, where MindBot keeps its data", "数据所在磁盘的使用率"),
    Metric("disk_free", "bytes", "machine", "Free space where MindBot keeps its data", "数据所在磁盘的剩余空间"),
    Metric("certificate_left", "s", "host", "How long the certificate of a vendor's or our own address is still good",
           "证书剩余有效期"),
    Metric("model_left", "s", "model", "How long until the vendor switches a configured model off, where that is known",
           "距厂商停用所配置模型的时间(若已知)"),
    Metric("model_listed", "flag", "model", "0 when the provider no longer lists a configured model that it listed",
           "提供方曾列出、现已不再列出所配置的模型时为 0"),
    # probes of one's own
    Metric("check_failed", "count", "probe", "Runs of a probe of yours that failed in a row",
           "自定义探测连续失败的次数"),
    Metric("check_response_time", "ms", "probe", "How long a probe of yours took", "自定义探测耗时"),
    Metric("check_value", "count", "probe", "The number that an SQL or HTTP probe of yours found",
           "SQL 或 HTTP 自定义探测得到的数值"),
    # alerts themselves
    Metric("notifications_failed", "count", "", "Notifications that reached nobody, of an hour",
           "近 1 小时未送达的通知数"),
    Metric("notification_cost", "count", "", "What notifications cost, of a day", "近 1 天通知费用"),
)  # fmt: skip

METRICS: Final = MappingProxyType({metric.name: metric for metric in _ALL})
