"""Coze's own SDK as a program of its own, beside our environment: calls argv[1] and prints one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any


def main(base_url: str) -> dict[str, Any]:
    from cozepy import ChatEventType, Coze, CozeAPIError, Message, TokenAuth

    def client(token: str) -> Any:
        return Coze(auth=TokenAuth(token), base_url=base_url)

    def ask(coze: Any, bot: str, text: str, **more: Any) -> dict[str, Any]:
        said, seen = "", {}
        asked = [Message.build_user_question_text(text)]
        for event in coze.chat.stream(bot_id=bot, user_id="u1", additional_messages=asked, **more):
            if event.event == ChatEventType.CONVERSATION_MESSAGE_DELTA:
                said += event.message.content
            elif event.event == ChatEventType.CONVERSATION_CHAT_COMPLETED:
                seen = {"conversation": event.chat.conversation_id, "tokens": event.chat.usage.output_count}
        return {"said": said, **seen}

    def refusal(call: Any) -> int | None:
        try:
            call()
        except CozeAPIError as exc:
            return int(exc.code)
        return None

    good = client("pat_right")
    first = ask(good, "bot-1", "早上好 world 🌍")
    return {
        "me": good.users.me().user_name,
        "first": first,
        "second": ask(good, "bot-1", "again", conversation_id=first["conversation"]),
        "wrong_token": refusal(lambda: ask(client("pat_wrong"), "bot-1", "hi")),
        "wrong_bot": refusal(lambda: ask(good, "bot-2", "hi")),
        "wrong_conversation": refusal(lambda: ask(good, "bot-1", "hi", conversation_id="5")),
        "nothing_to_cancel": refusal(lambda: good.chat.cancel(conversation_id="5", chat_id="5")),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
