"""Draws alerts.svg and alerts.zh-CN.svg, the pictures of docs/alerts.md: `python docs/images/draw_alerts.py`."""

from __future__ import annotations

from html import escape
from pathlib import Path

HERE = Path(__file__).parent

#: key -> (English, Chinese)
WORDS = {
    "title": ("How an alert goes through MindBot", "一条告警的流程"),
    "desc": (
        "Beat asks for probes; rules judge what they found; an alert opens in the database; level after level is told "
        "through the outbox until somebody acknowledges. A watchdog without Celery looks at the rest and sends itself.",
        "beat 触发探测,规则判断结果,告警写入数据库,通过发件箱逐级通知,直到有人确认。"
        "不依赖 Celery 的看门狗监视其余部分并自行发送。",
    ),
    "beat": ("beat", "beat"),
    "beat_how": ("every 5 s", "每 5 秒"),
    "probe": ("probe", "探测"),
    "probe_how": ("platforms, models, machine", "平台、模型、机器"),
    "judge": ("judge", "判断"),
    "judge_how": ("rules: for, hysteresis", "规则:持续、迟滞"),
    "alert": ("alert", "告警"),
    "alert_how": ("policy frozen", "冻结升级策略"),
    "escalate": ("escalate", "升级"),
    "escalate_how": ("steps are due rows", "到期行"),
    "outbox": ("outbox", "发件箱"),
    "outbox_how": ("limits, summaries", "限流、合并"),
    "notify": ("notify", "通知"),
    "notify_how": ("next vendor at once", "立即换下一家"),
    "levels": (
        "1 primary · 2 secondary · 3 team · 4 PagerDuty, Opsgenie",
        "1 主要 · 2 次要 · 3 团队 · 4 PagerDuty、Opsgenie",
    ),
    "ways": ("SMS · e-mail · webhook · chat", "短信 · 邮件 · Webhook · 聊天"),
    "ack": ("acknowledge: chat, SMS, link, API, command", "确认:聊天、短信、链接、API、命令"),
    "watchdog": ("watchdog (no Celery, no database)", "看门狗(不依赖 Celery 和数据库)"),
    "watch_how": ("workers, beat, database, broker, web", "工作进程、beat、数据库、消息代理、Web"),
}
STEPS = ("beat", "probe", "judge", "alert", "escalate", "outbox", "notify")


def draw(lang: int) -> str:
    """The picture in English (0) or Chinese (1)."""

    def word(key: str) -> str:
        return escape(WORDS[key][lang])

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 330" role="img" aria-labelledby="t d"'
        ' font-family="sans-serif" font-size="14">',
        f'<title id="t">{word("title")}</title><desc id="d">{word("desc")}</desc>',
        '<rect width="1000" height="330" fill="#fff"/><defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5"'
        ' markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#445"/></marker></defs>',
    ]

    def box(x: int, y: int, width: int, key: str, how: str, colour: str) -> None:
        middle = f'x="{x + width / 2}" text-anchor="middle"'
        parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="58" rx="8" fill="{colour}" stroke="#445"/>')
        parts.append(f'<text {middle} y="{y + 25}" font-weight="bold">{word(key)}</text>')
        parts.append(f'<text {middle} y="{y + 45}" font-size="10.5" fill="#333">{word(how)}</text>')

    def arrow(path: str, dashed: bool = False) -> None:
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        parts.append(f'<path d="{path}" fill="none" stroke="#445" stroke-width="1.5" marker-end="url(#a)"{dash}/>')

    for number, key in enumerate(STEPS):
        x = 10 + number * 142
        box(x, 60, 126, key, f"{key}_how", "#e6f0fb" if key in ("alert", "outbox") else "#f4f6f8")
        if number:
            arrow(f"M{x - 16} 89H{x - 2}")
    parts.append(f'<text x="500" y="34" text-anchor="middle" font-size="17" font-weight="bold">{word("title")}</text>')
    arrow("M924 120V168")
    parts.append(f'<text x="990" y="188" text-anchor="end">{word("ways")}</text>')
    parts.append(f'<text x="990" y="210" text-anchor="end" font-size="12" fill="#333">{word("levels")}</text>')
    parts.append(f'<text x="500" y="160" text-anchor="middle" font-size="12">{word("ack")}</text>')
    arrow("M500 145V120", dashed=True)
    box(10, 240, 420, "watchdog", "watch_how", "#fdeeda")
    arrow("M430 269H924V222")
    parts.append("</svg>\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (HERE / "alerts.svg").write_text(draw(0), encoding="utf-8")
    (HERE / "alerts.zh-CN.svg").write_text(draw(1), encoding="utf-8")
