"""What is said in alerts."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    # the texts of SMS, by rule
    "sms_dingtalk_connection_lost": (
        "CRITICAL: MindBot DingTalk connection lost at {timestamp}. Immediate attention required.",
        "紧急:MindBot 钉钉连接于 {timestamp} 中断,请立即处理。",
    ),
    "sms_dify_api_down": (
        "HIGH: MindBot Dify API experiencing issues. Error rate: {error_rate}%. Response time: {response_time}ms.",
        "严重:MindBot 的 Dify API 异常。错误率:{error_rate}%,响应时间:{response_time}ms。",
    ),
    "sms_resource_high_usage": (
        "MEDIUM: MindBot resource usage high. CPU: {cpu_usage}%, Memory: {memory_usage}%.",
        "警告:MindBot 资源占用过高。CPU:{cpu_usage}%,内存:{memory_usage}%。",
    ),
    "sms_maintenance_completed": (
        "LOW: MindBot maintenance completed successfully at {timestamp}.",
        "提示:MindBot 维护已于 {timestamp} 顺利完成。",
    ),
    "sms_any": ("{severity_word}: MindBot {rule}: {reason}.", "{severity_word}:MindBot {rule}:{reason}。"),
    "sms_resolved": ("RESOLVED: MindBot {rule} after {duration}.", "已恢复:MindBot {rule},持续 {duration}。"),
    "sms_acknowledged": ("ACKNOWLEDGED: MindBot {rule} by {by}.", "已确认:MindBot {rule},处理人 {by}。"),
    "sms_code": (" ACK {code}", " ACK {code}"),
    "sms_more": (" (+{count} more: {names})", "(另有 {count} 条:{names})"),
    "sms_suppressed": (" ({count} suppressed)", "(已省略 {count} 条)"),
    "severity_critical": ("CRITICAL", "紧急"),
    "severity_high": ("HIGH", "严重"),
    "severity_medium": ("MEDIUM", "警告"),
    "severity_low": ("LOW", "提示"),
    # reasons
    "reason": ("{reading} is {value}", "{reading} 为 {value}"),
    "reason_limit": ("{reading} is {value} ({comparison})", "{reading} 为 {value}({comparison})"),
    "reason_anomaly": (
        "{metric} is {value}, usually {mean} +- {deviation} at this hour of the week",
        "{metric} 为 {value},每周此时通常为 {mean} ± {deviation}",
    ),
    "reason_forecast": (
        "{metric} is {value} and changes by {slope} an hour: {limit} in {hours} h",
        "{metric} 为 {value},每小时变化 {slope},约 {hours} 小时后达到 {limit}",
    ),
    "reason_forecast_value": (
        "{metric} is {value} and will be {ahead} in {hours} h",
        "{metric} 为 {value},{hours} 小时后预计为 {ahead}",
    ),
    "reason_of": ("{subject}: {reason}", "{subject}:{reason}"),
    "reason_more": ("{reason}; and {count} more", "{reason};另有 {count} 项"),
    "no_data": ("no data", "无数据"),
    "no_value": ("n/a", "无"),
    # e-mail
    "subject_trigger": (
        "[MindBot] {severity_word} {rule}: {reason} [{code}]",
        "[MindBot] {severity_word} {rule}:{reason} [{code}]",
    ),
    "subject_acknowledge": ("[MindBot] acknowledged: {rule} [{code}]", "[MindBot] 已确认:{rule} [{code}]"),
    "subject_resolve": ("[MindBot] resolved: {rule} [{code}]", "[MindBot] 已恢复:{rule} [{code}]"),
    "part_what": ("What is wrong", "故障说明"),
    "part_system": ("System status", "系统状态"),
    "part_figures": ("Performance", "性能指标"),
    "part_hint": ("What to do", "处理建议"),
    "part_history": ("Escalation history", "升级记录"),
    "part_ack": ("Acknowledge", "确认"),
    "line_rule": ("Rule {rule}: {condition}", "规则 {rule}:{condition}"),
    "line_since": ("Since {timestamp}, level {level}", "开始于 {timestamp},级别 {level}"),
    "line_affected": ("Affected: {names}", "涉及:{names}"),
    "line_ack": (
        "/ack {code} in a chat with the bot, `mindbot alerts ack {code}`, or reply ACK {code}",
        "在与机器人的会话中发送 /ack {code},执行 `mindbot alerts ack {code}`,或回复 ACK {code}",
    ),
    "line_probe_ok": ("{name}: well", "{name}:正常"),
    "line_probe_bad": ("{name}: {error}", "{name}:{error}"),
    # hints, by rule
    "hint_any": (
        "`mindbot doctor` looks for causes; `mindbot alerts show {code}` tells the history.",
        "可用 `mindbot doctor` 排查,用 `mindbot alerts show {code}` 查看经过。",
    ),
    "hint_dingtalk_connection_lost": (
        "Look whether the bridges process runs, and at the app's credentials in DingTalk's console. What DingTalk kept "
        "comes when the connection is back.",
        "请检查 bridges 进程是否在运行,以及钉钉后台中的应用凭证。连接恢复后,钉钉保留的消息会补发。",
    ),
    "hint_dify_api_down": (
        "Look at the Dify server and its API key. Questions meanwhile go to the other providers of fallback_order.",
        "请检查 Dify 服务和 API 密钥。期间的问题会按 fallback_order 交给其他提供方。",
    ),
    "hint_high_error_rate": (
        "`mindbot messages` shows which messages failed and at which provider.",
        "用 `mindbot messages` 查看失败的消息及其提供方。",
    ),
    "hint_resource_high_usage": (
        "`mindbot tune` suggests the concurrency of each queue; another machine with workers also helps.",
        "`mindbot tune` 给出各队列的并发建议;也可增加一台运行工作进程的机器。",
    ),
    "hint_no_worker": (
        "Start the workers of the Procfile; `mindbot doctor` says which queues nobody serves.",
        "请启动 Procfile 中的工作进程;`mindbot doctor` 会指出无人服务的队列。",
    ),
    "hint_message_quarantined": (
        "`mindbot messages --state quarantined` lists them, `mindbot replay ID` starts one again.",
        "`mindbot messages --state quarantined` 列出这些消息,`mindbot replay ID` 可重新处理。",
    ),
    "hint_model_retires": (
        "Put the vendor's successor into providers.<name>.models: `mindbot models` names it, `mindbot config check` "
        "the line.",
        "请在 providers.<名称>.models 中换用后续型号:`mindbot models` 给出型号,`mindbot config check` 指出行号。",
    ),
    "hint_model_missing": (
        "`mindbot models` shows what the provider lists now. Questions meanwhile go to the others of fallback_order.",
        "`mindbot models` 显示提供方当前列出的模型。期间的问题会按 fallback_order 交给其他提供方。",
    ),
    "hint_vector_store_down": (
        "Look whether the process `chroma` runs. Passages are meanwhile found by their words.",
        "请检查 chroma 进程是否在运行。期间按关键词检索知识库。",
    ),
    # watchdog
    "watch_down": (
        "CRITICAL: MindBot {what} at {timestamp}. Immediate attention required.",
        "紧急:MindBot 于 {timestamp} {what},请立即处理。",
    ),
    "watch_up": ("RESOLVED: MindBot {what}: over after {duration}.", "已恢复:MindBot {what},持续 {duration}。"),
    "watch_database": ("database does not answer", "数据库无响应"),
    "watch_broker": ("broker does not answer", "消息代理无响应"),
    "watch_workers": ("workers are gone", "工作进程全部消失"),
    "watch_beat": ("scheduler (beat) is gone", "调度进程(beat)消失"),
    "watch_web": ("web side does not answer", "Web 服务无响应"),
    "watch_alerts": ("alert worker is gone", "告警工作进程消失"),
    # acknowledging
    "page_ask": ("Acknowledge alert {code}?", "确认告警 {code}?"),
    "page_button": ("Acknowledge", "确认"),
    "page_done": ("Alert {code} is acknowledged.", "告警 {code} 已确认。"),
    "page_late": ("Alert {code} was acknowledged or resolved before.", "告警 {code} 此前已被确认或已恢复。"),
    "page_unknown": ("This link does not hold.", "链接无效。"),
}
