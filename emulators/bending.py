"""How a fault changes an answer before it is sent; pure, so that each fault is a line of a test."""

from __future__ import annotations

from dataclasses import replace

import orjson

from emulators.answers import Answer, Stream
from emulators.faults import AnyRule, Crlf, ErrorEvent, Html, Malformed, SplitUtf8, Status, Throttle

_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
# One shape for clients of every vendor: the fields of OpenAI and of Dify.
_TOO_MANY = {
    "error": {"message": "too many requests", "type": "requests", "code": "rate_limit_exceeded"},
    "code": "too_many_requests",
    "message": "too many requests",
    "status": 429,
}


def instead(rule: AnyRule | None) -> Answer | None:
    """What is answered without performing the call; None: the call is performed."""
    match rule:
        case Status():
            text = isinstance(rule.body, str)
            body = rule.body.encode() if isinstance(rule.body, str) else orjson.dumps(rule.body or {})
            kind = rule.content_type or ("text/plain" if text else "application/json")
            return Answer(rule.status, body, kind, dict(rule.headers), accepted=False)
        case Throttle():
            headers = {} if rule.retry_after is None else {"Retry-After": _number(rule.retry_after)}
            refusal = _TOO_MANY if rule.body is None else rule.body
            return Answer(429, orjson.dumps(refusal), headers=headers, accepted=False)
        case Html():
            return Answer(rule.status, rule.body.encode(), "text/html", accepted=False)
        case None:
            return None
        case _:
            return None if rule.performs else Answer(500, accepted=False)


def bend(answer: Answer, rule: AnyRule | None) -> Answer:
    """The answer as the rule wants it; timing and broken connections are the business of delivery."""
    if rule is None:
        return answer
    if rule.delay_ms:
        answer = replace(answer, delay_s=answer.delay_s + rule.delay_ms / 1000)
    match rule:
        case Malformed():
            return _malformed(answer, rule)
        case ErrorEvent() if isinstance(answer, Stream) and answer.error is not None:
            error = answer.error(rule.status, rule.code, rule.message)
            return replace(answer, events=[*answer.events[: rule.after_events], error], tail=())
        case Crlf() if isinstance(answer, Stream):
            return replace(answer, events=[_crlf(e) for e in answer.events], tail=[_crlf(e) for e in answer.tail])
        case SplitUtf8() if isinstance(answer, Stream):
            return replace(answer, events=_split([*answer.events]), tail=_split([*answer.tail]), pieces=True, per_s=0)
        case _:
            return answer


def _malformed(answer: Answer, rule: Malformed) -> Answer:
    if rule.what == "content_type":
        return replace(answer, content_type="text/plain")
    if rule.what == "html":
        return Answer(200, _PAGE, "text/html", accepted=answer.accepted, facts=answer.facts, on_end=answer.on_end)
    if not isinstance(answer, Stream):
        return replace(answer, body=_malformed_body(answer.body, rule))
    events, tail = [*answer.events], [*answer.tail]
    middle = (len(events) + 1) // 2
    match rule.what:
        case "json":
            events.insert(middle, b'data: {"this is": not json\n\n')
        case "huge":
            events.insert(middle, b'data: {"padding":"' + b"x" * rule.huge_bytes + b'"}\n\n')
        case "unknown_event":
            events.insert(middle, answer.odd)
        case "cut_event":
            whole = events[:middle] or tail[:1]
            events, tail = [*whole[:-1], whole[-1][: len(whole[-1]) // 2]], []
        case "after_end":
            tail = [*tail, *events[-1:]]
        case _:
            events, tail = [], []
    return replace(answer, events=events, tail=tail)


def _malformed_body(body: bytes, rule: Malformed) -> bytes:
    match rule.what:
        case "huge":
            return b'{"padding":"' + b"x" * rule.huge_bytes + b'"}'
        case "after_end":
            return body + body
        case "unknown_event":
            return b'{"unknown":true}'
        case "empty":
            return b""
        case _:
            return body[: max(1, len(body) // 2)]


def _crlf(event: bytes) -> bytes:
    return event.replace(b"\n", b"\r\n")


def _split(events: list[bytes]) -> list[bytes]:
    """The same bytes, cut behind the first byte of each event's first long character."""
    pieces: list[bytes] = []
    rest = b""
    for event in events:
        cut = next((at + 1 for at, byte in enumerate(event) if byte >= 0xC0), None)
        if cut is None:
            rest += event
            continue
        pieces.append(rest + event[:cut])
        rest = event[cut:]
    return [*pieces, rest] if rest else pieces


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
