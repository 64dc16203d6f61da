"""Judges a trial by its logs alone: lost, doubled, out of order or misdirected, and how fast killed work went on."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.chaos.history import Asked, Fault, History, Platform, Said, Shown

#: a reply is recorded this soon after the platform took it; a kill of its sender within is the promise's one exception
WINDOW_MS = 2_000
#: the clocks of two log lines may disagree by this much: each is read a moment before its line is written
SKEW_MS = 50
#: on a busy machine a stand-in reads a call, and logs it, this late after it was made; its maker may be dead by then
READ_MS = 1_000
#: a stand-in notices this late that its caller is gone
NOTICE_MS = 3_000
#: a killed answer is taken up again this soon
RESTART_P99_S = 15.0
#: more messages than this share that end with an apology would be no proof of answering
APOLOGIES_PER_MESSAGE = 0.02

#: who sends; where nobody is named, the platform tells a repeat from a second message, and there is no window at all
SENDERS: dict[Platform, str] = {"dingtalk": "fast", "stream": "fast", "aim": "aim"}
SENDER = "fast"
ANSWERER = "generate"
#: AIM delivers once, whatever becomes of it: a bridge killed this soon after it need not have noted the message
NOTED_MS = 10_000
#: the server may deliver this long to a connection whose other end is gone
GONE_MS = 1_000
#: what the way back of a killed answer runs over; when one of these breaks on the way, it takes longer
REPAIRERS = ("upkeep", "beat", "redis", "aim")


@dataclass(frozen=True, slots=True)
class Restart:
    """Work that a kill interrupted, and when it went on."""

    marker: str
    target: str
    after_s: float
    disturbed: bool  #: a further fault hit what brings it back


@dataclass(slots=True)
class Verdict:
    """The findings; each list holds sentences, and an empty list is good news."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    misdirected: list[str] = field(default_factory=list)
    never_acknowledged: list[str] = field(default_factory=list)
    slow_restarts: list[str] = field(default_factory=list)
    too_many_apologies: list[str] = field(default_factory=list)
    left_hanging: list[str] = field(default_factory=list)  #: cards that people see without an end
    never_noted: list[str] = field(default_factory=list)  #: AIM's: its reader was killed; counted, not a failure
    in_window: list[str] = field(default_factory=list)  #: doubled by a kill in mid-send: counted, not a failure
    restarts: list[Restart] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)  #: from the acknowledgement to the first answer
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, list[str]]:
        """What breaks a promise, by promise."""
        found = {
            "P1 lost": self.lost,
            "P3 doubled outside the window": self.doubled,
            "P4 out of order": self.out_of_order,
            "wrong conversation": self.misdirected,
            "card left hanging": self.left_hanging,
            "never acknowledged": self.never_acknowledged,
            "slow restart": self.slow_restarts,
            "too many apologies": self.too_many_apologies,
        }
        return {promise: sentences for promise, sentences in found.items() if sentences}


def check(history: History, *, restart_p99_s: float = RESTART_P99_S) -> Verdict:
    """Everything there is to say about a trial."""
    verdict = Verdict()
    of_marker = {said.marker: said for said in history.said}
    of_msg_id = {said.msg_id: said for said in history.said}
    shown: defaultdict[str, list[Shown]] = defaultdict(list)
    apologies = []
    for one in history.shown:
        if one.marker is None and one.msg_id is None and one.conversation is not None:
            apologies.append(one)
            continue
        said = _whose(one, of_marker, of_msg_id, verdict)
        if said is not None:
            shown[said.msg_id].append(one)
    for one in apologies:
        _give(one, history.said, shown, verdict)
    ended = {one.card for one in history.shown}
    verdict.left_hanging = [f"card {card} never ended" for card in history.cards if card not in ended]
    _check_each(history, shown, verdict)
    _check_order(history.said, shown, verdict)
    verdict.restarts = _restarts(history, shown, of_marker)
    calm = [restart.after_s for restart in verdict.restarts if not restart.disturbed]
    if calm and percentile(calm, 0.99) > restart_p99_s:
        verdict.slow_restarts.append(f"p99 of {len(calm)} restarts is {percentile(calm, 0.99):.1f} s")
    apologised = verdict.counts["apologised"]
    if apologised > max(2, APOLOGIES_PER_MESSAGE * len(history.said)):
        verdict.too_many_apologies.append(f"{apologised} of {len(history.said)} messages got an apology for an answer")
    return verdict


def _whose(one: Shown, of_marker: dict[str, Said], of_msg_id: dict[str, Said], verdict: Verdict) -> Said | None:
    """The message that a visible text belongs to; notes a text that turned up in the wrong place."""
    by_text = of_marker.get(one.marker) if one.marker else None
    by_session = of_msg_id.get(one.msg_id) if one.msg_id else None
    said = by_text or by_session
    if said is None:
        verdict.misdirected.append(f"line {one.place}: nobody knows what this is an answer to")
    elif one.conversation is not None and one.conversation != said.conversation:
        verdict.misdirected.append(f"line {one.place}: {said.marker} turned up in {one.conversation}")
    elif by_text is not None and by_session is not None and by_text is not by_session:
        verdict.misdirected.append(f"line {one.place}: {by_text.marker} was sent as the answer to {by_session.marker}")
    return said


def _give(one: Shown, said: Iterable[Said], shown: dict[str, list[Shown]], verdict: Verdict) -> None:
    """An apology that names no message belongs to the oldest one of its conversation that has nothing else."""
    before = [each for each in said if each.conversation == one.conversation and each.at_ms <= one.at_ms + SKEW_MS]
    waiting = next((each for each in before if not shown.get(each.msg_id)), None)
    if waiting is not None:
        shown[waiting.msg_id].append(one)
    elif before:
        shown[before[-1].msg_id].append(one)
    else:
        verdict.misdirected.append(f"line {one.place}: nobody spoke in {one.conversation}")


def may_be_unknown(said: Said, faults: Iterable[Fault]) -> bool:
    """Whether a message may be forgotten: AIM gave it to a process that was killed before it had to have noted it."""
    at_ms = said.acknowledged_ms
    if said.platform != "aim" or at_ms is None:
        return False
    return any(
        fault.kind == "sigkill"
        and fault.target.startswith("aim")
        and fault.at_ms <= at_ms + NOTED_MS
        and at_ms <= fault.done_ms + GONE_MS
        for fault in faults
    )


def _check_each(history: History, shown: dict[str, list[Shown]], verdict: Verdict) -> None:
    """P1, P3 and P5, message by message."""
    kills = [fault for fault in history.faults if fault.kind == "sigkill"]
    apologised = 0
    for said in history.said:
        seen = shown.get(said.msg_id, [])
        if said.acknowledged_ms is None:
            verdict.never_acknowledged.append(f"{said.marker} was posted {said.posts} times")
        elif not seen and may_be_unknown(said, history.faults):
            verdict.never_noted.append(f"{said.marker} was delivered at {said.acknowledged_ms} to who was killed then")
        elif not seen:
            verdict.lost.append(
                f"{said.marker} ({said.platform}) was acknowledged at {said.acknowledged_ms} and never answered"
            )
        if seen:
            verdict.answer_s.append(max(0.0, (seen[0].at_ms - (said.acknowledged_ms or said.at_ms)) / 1000))
            apologised += all(one.marker is None for one in seen)
        for first, second in itertools.pairwise(seen):
            sender = SENDERS.get(said.platform)
            hits = [kill for kill in kills if sender and kill.target.startswith(sender) and _in_window(kill, first)]
            who = f"{said.marker} ({said.platform}, posted {said.posts} times)"
            sentence = f"{who} was shown at {first.at_ms} and at {second.at_ms}"
            if hits:
                verdict.in_window.append(f"{sentence}; {hits[0].target} was killed at {hits[0].at_ms}")
            else:
                verdict.doubled.append(sentence)
    verdict.counts = {
        "messages": len(history.said),
        "acknowledged": sum(said.acknowledged_ms is not None for said in history.said),
        "posts": sum(said.posts for said in history.said),
        "posted_more_than_once": sum(said.posts > 1 for said in history.said),
        "answered": sum(bool(seen) for seen in shown.values()) - apologised,
        "apologised": apologised,
        "model_calls": len(history.asked),
        "refused_repeats": history.refused_repeats,
        "never_noted": len(verdict.never_noted),
        **{f"messages {name}": number for name, number in Counter(said.platform for said in history.said).items()},
        "kills": sum(fault.is_kill for fault in history.faults),
        "faults": len(history.faults),
        **{
            f"{kind} {target}": number
            for (kind, target), number in sorted(Counter((f.kind, f.target) for f in history.faults).items())
        },
    }


def _in_window(kill: Fault, first: Shown) -> bool:
    return first.at_ms - READ_MS <= kill.done_ms and kill.at_ms <= first.at_ms + WINDOW_MS


def _check_order(said: Iterable[Said], shown: dict[str, list[Shown]], verdict: Verdict) -> None:
    """P4: in a conversation where each was said after the acknowledgement of the one before."""
    conversations: defaultdict[str, list[Said]] = defaultdict(list)
    for one in said:
        if one.ordered and shown.get(one.msg_id):
            conversations[one.conversation].append(one)
    for messages in conversations.values():
        messages.sort(key=lambda one: one.number)
        for earlier, later in itertools.pairwise(messages):
            if shown[later.msg_id][0].place < shown[earlier.msg_id][0].place:
                verdict.out_of_order.append(f"{later.marker} was answered before {earlier.marker}")


def _restarts(history: History, shown: dict[str, list[Shown]], of_marker: dict[str, Said]) -> list[Restart]:
    """Model calls and sends that a kill interrupted, each with the next sign of life of its message."""
    asked: defaultdict[str, list[Asked]] = defaultdict(list)
    for call in history.asked:
        if call.marker in of_marker:
            asked[str(call.marker)].append(call)
    found = []
    for marker, said in of_marker.items():
        sends = shown.get(said.msg_id, [])
        # once its answer is there, calls with its words are for a summary of the conversation
        shown_ms = min((send.at_ms for send in sends), default=math.inf)
        calls = [call for call in asked[marker] if call.at_ms <= shown_ms]
        signs = sorted([call.at_ms for call in calls] + [send.at_ms for send in sends])
        for call in calls:
            if call.outcome == "sent" and not any(other.at_ms > call.at_ms for other in calls):
                continue  # it came back, and nobody had to ask again
            found += _restart(history, marker, ANSWERER, call.at_ms, call.ended_ms, signs)
        for send, _again in itertools.pairwise(sends):
            found += _restart(history, marker, SENDERS.get(said.platform, SENDER), send.at_ms, send.at_ms, signs)
    return found


def _restart(
    history: History, marker: str, role: str, began_ms: int, ended_ms: int | None, signs: Sequence[int]
) -> list[Restart]:
    until = (began_ms if ended_ms is None else ended_ms) + SKEW_MS
    kill = next(
        (
            fault
            for fault in history.faults
            if fault.kind == "sigkill"
            and fault.target.startswith(role)
            and began_ms - SKEW_MS <= fault.at_ms <= until
            and (ended_ms is None or ended_ms <= fault.done_ms + NOTICE_MS)
        ),
        None,
    )
    if kill is None:
        return []
    next_ms = next((sign for sign in signs if sign > max(began_ms, kill.at_ms)), None)
    if next_ms is None:
        return []  # never: then the message counts as lost
    on_the_way = [fault for fault in history.faults if kill.at_ms < _over_ms(fault, history) and fault.at_ms < next_ms]
    # while one worker that answers is left, the other one is not needed
    answerers = {fault.target for fault in on_the_way if fault.target.startswith(ANSWERER)}
    disturbed = len(answerers) > 1 or any(fault.target.startswith(REPAIRERS) for fault in on_the_way)
    return [Restart(marker, kill.target, (next_ms - kill.at_ms) / 1000, disturbed)]


#: a process serves this long after it was started
BOOT_MS = 4_000


def _over_ms(fault: Fault, history: History) -> int:
    """When what a fault broke serves again."""
    if fault.kind in {"freeze", "flush"}:
        return fault.done_ms
    back = next((up.at_ms for up in history.ups if up.target == fault.target and up.at_ms >= fault.at_ms), None)
    return fault.done_ms if back is None else back + BOOT_MS


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed.

    >>> percentile([1, 2, 3, 4], 0.5)
    2
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
