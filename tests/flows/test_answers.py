"""Messages and their answers while vendors misbehave; nobody is killed here."""

from __future__ import annotations

import base64
import time
from itertools import pairwise

import pytest
import redis
from sqlalchemy import select

from mindbot_tasks.core.words import say
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import FileRow
from tests.flows.conftest import Told
from tests.flows.scene import DIFY, MODEL, PATIENCE_S, SESSION, TO_GROUP, TO_PERSON, Scene, steps, until
from tests.flows.stack import CANARY_TEXT
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story
from tests.flows.words import INDIGESTIBLE
from tests.stores.files import PROGRAM, png

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


@story()
def a_question_of_one_person_is_answered(scene: Scene) -> None:
    scene.says("what is this?")
    (told,) = scene.ended()
    (shown,) = scene.shown()
    assert shown["path"] == SESSION
    assert shown["msgtype"] == "markdown"
    assert shown["text"] == f"You said: what is this? {scene.mark} {CANARY_TEXT}"
    assert told.message["state"] == "replied"
    assert steps(told) == [
        "received", "classify:started", "classified", "generate:started", "answered", "reply:started", "replied",
    ]  # fmt: skip


@story()
def a_picture_is_kept_and_seen_by_the_model(scene: Scene) -> None:
    picture, program = png(), PROGRAM
    message_id = scene.chats(
        "what is this?",
        {"kind": "image", "name": "cat.png", "content": base64.b64encode(picture).decode()},
        {"kind": "file", "name": "tool.pdf", "content": base64.b64encode(program).decode()},
    )
    (told,) = scene.ended()
    (asked,) = scene.asked()
    assert asked["pictures"] == [len(picture)]
    assert told.answer is not None
    assert told.answer["text"].startswith("I see 1 picture(s). You said: what is this?")
    assert "tool.pdf: files of this type are not accepted" in told.answer["text"]
    with reading(scene.stack.engine) as connection:
        (file,) = connection.execute(select(FileRow).where(FileRow.message_id == message_id)).all()
    assert (file.media_type, file.name) == ("image/png", "cat.png")
    (kept,) = scene.stack.folder.rglob(file.sha256)
    assert kept.read_bytes() == picture


@story()
def a_question_in_a_group_is_answered_there_and_names_the_asker(scene: Scene) -> None:
    scene.says("who is there?", group=True)
    scene.ended()
    (shown,) = scene.shown()
    assert shown["at_user_ids"] == [scene.user]
    assert "who is there?" in shown["text"]


@story(databases=(SQLITE,))
def a_bot_without_markdown_answers_in_plain_text(scene: Scene) -> None:
    scene.fault("answer", MODEL, text="**bold** words")
    scene.says(bot="plain")
    scene.ended()
    (shown,) = scene.shown()
    assert (shown["msgtype"], shown["text"]) == ("text", "**bold** words")


@story()
def a_long_answer_comes_in_pieces_and_in_order(scene: Scene) -> None:
    sentences = [f"This is sentence number {number}." for number in range(900)]
    scene.fault("answer", MODEL, text=" ".join(sentences))
    scene.says("tell me everything")
    (told,) = scene.ended()
    texts = scene.texts()
    assert len(texts) == len(told.sends) >= 3
    places = ["".join(texts).index(sentence) for sentence in sentences]
    assert places == sorted(places)


@story()
def a_message_posted_twice_is_answered_once(scene: Scene) -> None:
    scene.says(kind="duplicate")
    sent = scene.says("again later", msg_id=f"msg{scene.mark}")
    scene.ended(2)
    scene.says("again later", msg_id=sent.msg_id)
    time.sleep(1)
    assert len(scene.messages()) == len(scene.shown()) == len(scene.asked()) == 2


@story()
def the_messages_of_a_conversation_are_answered_one_after_the_other(scene: Scene) -> None:
    scene.fault("delay", MODEL, delay_ms=1200, contains=f"one {scene.mark}")
    for word in ("one", "two", "three"):
        scene.says(word)
    scene.ended(3)
    assert [text.split()[2] for text in scene.texts()] == ["one", "two", "three"]
    asked, shown = scene.asked(), scene.shown()
    assert all(later["at_ms"] >= before["at_ms"] for before, later in zip(shown, asked[1:], strict=False))


@story()
def what_was_said_before_goes_along(scene: Scene) -> None:
    # the second request is the first one that holds both texts
    scene.fault("answer", MODEL, contains=f"my name is Ada {scene.mark}", skip=1, text="You are Ada.")
    scene.says("my name is Ada")
    scene.ended()
    scene.says("who am I?")
    scene.ended(2)
    assert scene.texts()[1] == "You are Ada."
    assert [call["messages"] for call in scene.asked()] == [1, 3]


@story(databases=(SQLITE,))
def what_was_said_before_is_trimmed_to_its_budget(scene: Scene) -> None:
    scene.says("a long story " * 30)
    scene.ended()
    scene.says("and now?")
    scene.ended(2)
    assert [call["messages"] for call in scene.asked()] == [1, 1]


@story()
def a_pattern_chooses_the_workflow_and_its_conversation_goes_on(scene: Scene) -> None:
    for number in (1, 2):
        scene.says("the quarterly report, please")
        scene.ended(number)
    first, second = scene.asked(dify=True)
    assert (first["new_conversation"], second["new_conversation"]) == (True, False)
    assert second["conversation_id"] == first["conversation_id"]
    assert second["turn"] == 2
    assert first["user"] == second["user"]
    assert scene.asked() == []
    told = scene.messages()[0]
    assert told.message["label"] == "reports"
    assert told.answer is not None
    assert told.answer["workflow"] == "reports"


@story()
def a_conversation_that_dify_has_forgotten_is_begun_anew(scene: Scene) -> None:
    gone = {"code": "not_found", "message": "Conversation Not Exists.", "status": 404}
    scene.says("my quarterly report")
    scene.ended()
    scene.fault("status", DIFY, status=404, body=gone)
    scene.says("and the next quarterly report")
    scene.ended(2)
    scene.says("one more quarterly report")
    scene.ended(3)
    first, second, third = scene.asked(dify=True)  # the refused call says nothing in the log
    assert second["new_conversation"]
    assert third["conversation_id"] == second["conversation_id"] != first["conversation_id"]
    assert len(scene.shown()) == 3


@story()
def the_next_provider_answers_when_one_fails(scene: Scene) -> None:
    scene.fault("status", MODEL, status=500)
    scene.says()
    (told,) = scene.ended()
    assert told.answer is not None
    assert (told.answer["provider"], told.answer["model"]) == ("second", "model-2")
    assert told.message["retries"] == 0
    assert len(scene.shown()) == 1


@story()
def a_message_waits_in_the_ledger_while_all_providers_fail(scene: Scene) -> None:
    scene.fault("status", MODEL, status=500, times=2)
    scene.says()
    until(lambda: any("generate:retry" in steps(told) for told in scene.messages()), "retry")
    waiting = scene.messages()[0].message["not_before"]
    (told,) = scene.ended()
    assert steps(told).count("generate:started") == 2
    assert told.message["state"] == "replied"
    starts = [event.at for event in told.events if event.step == "generate:started"]
    assert waiting is None or starts[1] >= waiting  # the sweeper may have been faster than we looked
    assert len(scene.shown()) == 1


@story()
def a_refusal_for_good_becomes_an_apology_in_the_asker_s_language(scene: Scene) -> None:
    scene.fault("status", MODEL, status=401, times=4)
    scene.says("what is going on here, please?")
    scene.says("请问这是怎么回事，能不能告诉我一下", conversation=scene.conversation, user=scene.user)
    told = scene.ended(2)
    assert scene.texts() == [say("apology.failed", "en"), say("apology.failed", "zh")]
    assert {one.message["state"] for one in told} == {"apologised"}


@story()
def an_answer_that_comes_after_its_session_goes_by_the_api(scene: Scene) -> None:
    scene.says(session_over=True)
    scene.ended()
    (shown,) = scene.shown()
    assert (shown["path"], shown["msg_key"]) == (TO_PERSON, "sampleMarkdown")


@story(databases=(SQLITE,))
def an_answer_to_a_group_whose_session_is_nearly_over_goes_by_the_api(scene: Scene) -> None:
    scene.says(group=True, session_lifetime_s=30)
    (told,) = scene.ended()
    (shown,) = scene.shown()
    assert shown["path"] == TO_GROUP
    assert told.sends[0].external_id == shown["process_query_key"]
    assert [call for call in scene.dingtalk.calls(path=SESSION) if call.get("conversation") == scene.conversation] == []


@story()
def a_send_that_dingtalk_could_not_take_is_repeated(scene: Scene) -> None:
    scene.fault("status", SESSION, status=503)
    scene.says()
    (told,) = scene.ended()
    assert "reply:retry" in steps(told)
    assert len(scene.shown()) == len(scene.asked()) == 1


@story()
def a_send_whose_end_nobody_knows_is_not_repeated_and_says_so(scene: Scene) -> None:
    scene.fault("accept_then_cut", SESSION)
    scene.says()
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert told.sends[0].note.startswith("unconfirmed")
    time.sleep(1)
    assert len(scene.shown()) == 1


@story(databases=(SQLITE,))
def an_answer_waits_while_the_platform_is_down(scene: Scene) -> None:
    branch = scene.stack.vendors.branch
    branch.kill()
    scene.says(bot="branch", vendor=branch.url)
    until(lambda: any("reply:retry" in steps(told) for told in scene.messages()), "failed send")
    branch.start()
    scene.ended()
    assert len(scene.shown(branch.control)) == 1
    assert len(scene.asked()) == 1


@story()
def a_picture_without_words_is_fetched_from_dingtalk_and_seen(scene: Scene) -> None:
    scene.says(kind="picture")
    scene.ended()
    no_words = say("attachments.no_words", "en")
    assert scene.texts() == [f"I see 1 picture(s). You said: {no_words}"]


@story(databases=(SQLITE,))
def a_message_whose_time_is_over_gets_an_apology_and_no_late_answer(scene: Scene) -> None:
    scene.fault("silence", MODEL, seconds=15, times=2)
    scene.says("is anybody there at all?", web=scene.stack.other_web)
    (told,) = scene.ended()
    assert told.message["state"] == "apologised"
    assert told.message["finished_at"] <= told.message["deadline_at"]
    assert scene.texts() == [say("apology.late", "en")]


@story(databases=(SQLITE,))
def a_message_of_a_bot_that_is_gone_ends_soon(scene: Scene) -> None:
    scene.says(bot="forgotten", web=scene.stack.other_web)
    (told,) = scene.ended()
    assert told.message["state"] == "expired"
    assert steps(told).count("generate:started") <= 3
    assert steps(told).count("apologise:started") == 3
    assert "forgotten" in told.message["last_error"]


@story()
def a_message_that_a_bug_cannot_digest_is_tried_three_times(scene: Scene) -> None:
    scene.says(f"a plate of {INDIGESTIBLE}, please")
    (told,) = scene.ended()
    assert told.message["state"] == "quarantined"
    assert told.message["last_error"] == "ValueError"
    assert steps(told).count("generate:started") == 3
    assert scene.texts() == [say("apology.poison", "en")]


@story()
def watchers_see_the_answer_grow_in_steps(scene: Scene) -> None:
    scene.fault("drip", MODEL, bytes_per_s=3000)
    heard: list[str] = []
    with redis.Redis.from_url(scene.stack.redis_url, decode_responses=True) as client, client.pubsub() as watching:
        watching.psubscribe("mindbot:live:*")
        number = scene.chats("count to a hundred: " + " ".join(map(str, range(100))))
        own = f"mindbot:live:{number}"
        until(lambda: (watching.get_message(timeout=0.2) or {}).get("type") == "psubscribe", "subscription")
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at and not (heard and '"replied"' in heard[-1]):
            message = watching.get_message(timeout=0.2)
            if message is not None and message.get("channel") == own:
                heard.append(message["data"])
    (told,) = scene.ended()
    assert told.message["id"] == number
    texts = [line for line in heard if '"type":"text"' in line]
    # some ninety pieces in some six seconds: one of eight is told, and no more than three in a second
    assert 3 <= len(texts) <= 14
    assert all(len(later) > len(before) for before, later in pairwise(texts))
    assert '"replied"' in heard[-1]


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
