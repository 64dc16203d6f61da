"""What `mindbot config check` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "read": ("Configuration: {files}", "配置:{files}"),
    "no_file": ("no mindbot.yaml; defaults and environment only", "没有 mindbot.yaml,仅使用默认值和环境变量"),
    "problems": ("Problems: {count}", "问题:{count} 个"),
    "warning": ("Warning: {text}", "警告:{text}"),
    "fine": (
        "The configuration is valid. On: {on}, off: {off}, warnings: {warnings}",
        "配置有效。启用 {on} 项,停用 {off} 项,警告 {warnings} 条",
    ),
    "on": ("on", "启用"),
    "off": ("off", "停用"),
    "absent": ("-", "-"),
    "refused": ("it cannot be used: {why}", "无法使用:{why}"),
    "no_secrets": (
        'it has no secret, so nobody can sign a message; write "whsec_" and the base64 of 32 random bytes',
        '没有密钥,无人能够签名消息;请填写 "whsec_" 加 32 个随机字节的 base64',
    ),
    "not_configured": ("not configured", "未配置"),
    "head_kind": ("kind", "类别"),
    "head_name": ("name", "名称"),
    "head_state": ("state", "状态"),
    "head_why": ("why, or what", "原因或说明"),
    "platform": ("platform", "平台"),
    "provider": ("provider", "提供方"),
    "workflow": ("workflow", "工作流"),
    "tool": ("tool", "工具"),
    "agent": ("agent", "智能体"),
    "knowledge": ("knowledge", "知识库"),
    "speech": ("speech", "语音识别"),
    "classifier": ("classifier", "分类器"),
    "sure_from": ("threshold {threshold}", "阈值 {threshold}"),
    "patterns_only": ("the patterns alone decide", "仅由关键词决定"),
    "files": ("files", "文件"),
    "budget": ("budget", "预算"),
    "per_day": ("{most} a day", "每天 {most}"),
    "unpriced": ("the price of {models} is unknown, so it costs nothing here", "{models} 的价格未知,不计入费用"),
    "alerts": ("alerts", "告警"),
    "notifier": ("notifier", "通知"),
    "metrics": ("metrics", "指标推送"),
    "telemetry": ("traces", "追踪"),
    "no_collector": ("telemetry.endpoint is not set", "未设置 telemetry.endpoint"),
    "no_exporter": (
        "the extra is missing: pip install 'mindbot[telemetry]'",
        "缺少附加组件:pip install 'mindbot[telemetry]'",
    ),
    "setting": ("setting", "设置"),
    "patterns": ("patterns: {count}, priority {priority}", "{count} 个模式,优先级 {priority}"),
    "alert_counts": ("rules: {rules}, recipients: {people}", "{rules} 条规则,{people} 位接收人"),
    "not_served": ("understood, but not served by this version yet", "配置有效,但此版本尚未提供该功能"),
}
