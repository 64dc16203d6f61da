"""What is written in an SMS, an e-mail and a webhook about an alert. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mindbot_tasks.alerting.escalation import Person
from mindbot_tasks.alerting.figures import bare, duration, figure, moment
from mindbot_tasks.alerting.rationing import fit_sms
from mindbot_tasks.core.alert_metrics import METRICS
from mindbot_tasks.core.conditions import Value
from mindbot_tasks.core.words import Lang, is_said, say, template
from mindbot_tasks.model.alert import Channel, Event

#: figures that every e-mail brings along
_FIGURES = (
    "error_rate", "response_time", "dify_error_rate", "dify_response_time", "throughput", "active_users", "queue_age",
    "workers", "cpu_usage", "memory_usage", "disk_usage",
)  # fmt: skip
_MOST_PROBES = 30
#: the colour at the top of an e-mail
_TONES = {
    "critical": "#c9183f", "high": "#d9540b", "medium": "#b27a06", "low": "#4a6fa5", "acknowledge": "#6354f0",
    "resolve": "#0c9d77",
}  # fmt: skip
_MOST_HISTORY = 50
#: what a figure of all of MindBot means in an alert about a Dify app
_OF_DIFY = {"error_rate": "dify_error_rate", "response_time": "dify_response_time"}
_WITH_UNIT = re.compile(r"\{(\w+)\}(?:%|ms)")


@dataclass(frozen=True, slots=True)
class Scene:
    """What an e-mail tells besides the alert itself."""

    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)  #: metric -> subject -> value
    probes: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, Any]] = ()  #: of the alert
    link: str = ""  #: where it can be acknowledged


def content(
    event: Event, alert: Mapping[str, Any], person: Person, level: int, scene: Scene, *, now: int
) -> dict[str, Any]:
    """What the outbox keeps: short for SMS, subject and texts for e-mail, details for machines."""
    lang = cast(Lang, person.lang)
    fields = _fields(alert, scene, lang, person.timezone, now=now)
    loud = person.channel in (Channel.EMAIL, Channel.CHAT)
    sections = _sections(event, alert, level, scene, fields, lang, person.timezone) if loud else []
    return {
        "subject": _one_line(say(f"alerts.subject_{event}", lang, **fields))[:200],
        "short": short(event, alert, fields, lang),
        "long_text": _as_text(sections),
        "long_html": _as_html(sections, scene.link, lang, tone=_TONES.get(_tone_of(event, alert), _TONES["low"])),
        "component": alert["component"],
        "at_ms": now if event is not Event.TRIGGER else alert["fired_at"],
        "lang": lang,
        "details": _details(alert, level, scene),
    }


def short(event: Event, alert: Mapping[str, Any], fields: Mapping[str, str], lang: Lang) -> str:
    """One SMS; the template gives way to the code with which it is acknowledged."""
    if event is Event.RESOLVE:
        return fit_sms(say("alerts.sms_resolved", lang, **fields))
    if event is Event.ACKNOWLEDGE:
        return fit_sms(say("alerts.sms_acknowledged", lang, **fields))
    return fit_sms(_from_template(alert, fields, lang), say("alerts.sms_code", lang, code=alert["code"]))


def _from_template(alert: Mapping[str, Any], fields: Mapping[str, str], lang: Lang) -> str:
    policy = alert["policy"]
    own = policy.get("template_zh") if lang == "zh" else policy.get("template")
    if own := own or policy.get("template"):
        try:
            return _one_line(_without_lone_units(str(own), fields, lang).format_map(_Fields(fields)))
        except (ValueError, LookupError, AttributeError, TypeError):
            return say("alerts.sms_any", lang, **fields)  # better a plain text than none
    key = f"alerts.sms_{alert['rule']}"
    if not is_said(key):
        return _one_line(say("alerts.sms_any", lang, **fields))
    return _one_line(_without_lone_units(template(key, lang), fields, lang).format_map(_Fields(fields)))


def _without_lone_units(text: str, fields: Mapping[str, str], lang: Lang) -> str:
    """Where there is no value, there is no unit after it either: "n/a", not "n/a%"."""
    nothing = say("alerts.no_value", lang)
    return _WITH_UNIT.sub(lambda found: nothing if fields.get(found[1]) == nothing else found[0], text)


class _Fields(dict[str, str]):
    """A template may name any metric; what is not known is shown as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def _fields(alert: Mapping[str, Any], scene: Scene, lang: Lang, timezone: str, *, now: int) -> dict[str, str]:
    subjects = list(alert["members"])
    metrics = {name: bare(name, _value_for(name, subjects, alert, scene), lang) for name in METRICS}
    return _Fields(
        {
            **metrics,
            "timestamp": moment(alert["fired_at"], timezone),
            "severity": alert["severity"],
            "severity_word": say(f"alerts.severity_{alert['severity']}", lang),
            "rule": alert["rule"],
            "component": alert["component"],
            "reason": alert["summary"] or alert["rule"],
            "code": alert["code"],
            "by": alert["acknowledged_by"] or "?",
            "duration": duration((alert["resolved_at"] or now) - alert["fired_at"]),
        }
    )


def _value_for(name: str, subjects: Sequence[str], alert: Mapping[str, Any], scene: Scene) -> Value | None:
    """As it was when the alert fired, else as it is now: of what the alert is about, else of all of MindBot."""
    if name in _OF_DIFY and any(metric.startswith("dify_") for metric in alert["readings"]):
        name = _OF_DIFY[name]
    for values in (alert["readings"].get(name), scene.values.get(name)):
        if isinstance(values, Mapping) and values:
            for subject in (*subjects, ""):
                if subject in values:
                    return values[subject]
            if len(values) == 1:
                return next(iter(values.values()))
    return None


Section = tuple[str, list[str]]


def _sections(
    event: Event, alert: Mapping[str, Any], level: int, scene: Scene, fields: Mapping[str, str], lang: Lang, zone: str
) -> list[Section]:
    """Title and lines of each part of an e-mail."""

    def tell(key: str, **more: object) -> str:
        return say(f"alerts.{key}", lang, **more)

    since = f"{moment(alert['fired_at'], zone)} ({zone})"
    what = [short(event, alert, fields, lang).strip(), fields["reason"]]
    what.append(tell("line_rule", rule=alert["rule"], condition=alert["policy"].get("condition", "")))
    what.append(tell("line_since", timestamp=since, level=level))
    if names := [name for name in alert["members"] if name]:
        what.append(tell("line_affected", names=", ".join(names[:50])))
    sections: list[Section] = [(tell("part_what"), what)]
    if event is Event.TRIGGER:
        ack = [tell("line_ack", code=alert["code"])]
        sections.append((tell("part_ack"), [*ack, scene.link] if scene.link else ack))
        hint = alert["policy"].get("hint") or (
            tell(f"hint_{alert['rule']}") if is_said(f"alerts.hint_{alert['rule']}") else ""
        )
        sections.append((tell("part_hint"), [line for line in (hint, tell("hint_any", code=alert["code"])) if line]))
    bad = [probe for probe in scene.probes if probe["ok"] is False]
    well = [probe for probe in scene.probes if probe["ok"]]
    system = [tell("line_probe_bad", name=probe["name"], error=probe["error"] or "?") for probe in bad[:_MOST_PROBES]]
    if well:
        system.append(tell("line_probe_ok", name=", ".join(str(probe["name"]) for probe in well[:_MOST_PROBES])))
    sections.append((tell("part_system"), system))
    figures = [
        f"{name}: {figure(name, value, lang)}" + (f" ({subject})" if subject else "")
        for name in _FIGURES
        for subject, value in list(scene.values.get(name, {}).items())[:5]
    ]
    sections.append((tell("part_figures"), figures))
    history = [
        " ".join(part for part in (moment(one["at"], zone), one["kind"], one["actor"], one["note"]) if part)
        for one in scene.history[-_MOST_HISTORY:]
    ]
    sections.append((tell("part_history"), history))
    return [(title, lines) for title, lines in sections if lines]


def _as_text(sections: Sequence[Section]) -> str:
    return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections)


def _as_html(sections: Sequence[Section], link: str, lang: Lang, *, tone: str) -> str:
    """Mail programs know no style sheets, so everything stands at its place; the first section is the headline."""
    if not sections:
        return ""
    (_, (headline, *about)), *others = sections
    parts = [
        f'<h2 style="margin:0 0 8px;font-size:18px;line-height:1.35">{html.escape(headline)}</h2>',
        *(f'<p style="margin:2px 0;color:#5b6478">{html.escape(line)}</p>' for line in about),
    ]
    for title, lines in others:
        items = "".join(f'<li style="margin:3px 0">{_linked(line, link, lang)}</li>' for line in lines)
        parts.append(f'<h3 style="margin:22px 0 6px;font-size:13px;color:#5b6478">{html.escape(title)}</h3>')
        parts.append(f'<ul style="margin:0;padding-left:18px">{items}</ul>')
    frame = f"max-width:640px;margin:0 auto;padding:20px 24px;border-top:4px solid {tone};background:#ffffff"
    font = "font:14px/1.5 -apple-system,'Segoe UI','PingFang SC','Microsoft YaHei',sans-serif;color:#1b2030"
    body = f'<div style="{frame};{font}">{"".join(parts)}</div>'
    return f'<html><body style="margin:0;padding:16px;background:#f3f4f8">{body}</body></html>'


def _tone_of(event: Event, alert: Mapping[str, Any]) -> str:
    return str(alert["severity"]) if event is Event.TRIGGER else str(event)


def _linked(line: str, link: str, lang: Lang) -> str:
    if link and line == link:
        style = "display:inline-block;margin:4px 0;padding:7px 18px;border-radius:8px;background:#6354f0;color:#ffffff"
        words = html.escape(say("alerts.page_button", lang))
        return f'<a href="{html.escape(link, quote=True)}" style="{style};text-decoration:none">{words}</a>'
    return html.escape(line)


def _details(alert: Mapping[str, Any], level: int, scene: Scene) -> dict[str, str]:
    details = {
        "rule": alert["rule"],
        "condition": str(alert["policy"].get("condition", "")),
        "level": str(level),
        "state": alert["state"],
        "summary": alert["summary"],
        "affected": ", ".join(name for name in alert["members"] if name)[:500],
        "acknowledge": scene.link,
        **{f"label.{name}": str(value) for name, value in alert["labels"].items()},
    }
    for name, values in alert["readings"].items():
        if isinstance(values, Mapping):
            details |= {
                f"{name}[{subject}]" if subject else name: figure(name, value)
                for subject, value in list(values.items())[:20]
            }
    return {name: value for name, value in details.items() if value}


def _one_line(text: str) -> str:
    return " ".join(text.split())
