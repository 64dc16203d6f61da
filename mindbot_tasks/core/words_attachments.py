"""What is said about files that came with a message: to the asker, and to a model that cannot take them."""

from __future__ import annotations

WORDS = {
    # to the asker, when the message had no words that could be answered
    "cannot_see": ("I cannot see pictures here.", "我在这里看不了图片。"),
    "cannot_hear": ("I cannot listen to voice messages here.", "我在这里听不了语音。"),
    "cannot_watch": ("I cannot watch videos here.", "我在这里看不了视频。"),
    "cannot_read": ("I cannot read files here.", "我在这里读不了文件。"),
    "please_write": ("Please write your question.", "请用文字告诉我您的问题。"),
    # to the asker: what could not be had, and why
    "lost": ("I could not read {name}: {why}.", "我无法读取{name}:{why}。"),
    "nameless_image": ("your picture", "您的图片"),
    "nameless_voice": ("your voice message", "您的语音"),
    "nameless_video": ("your video", "您的视频"),
    "nameless_file": ("your file", "您的文件"),
    "why_too_big": ("it is bigger than {max_mb} MB", "文件超过 {max_mb} MB"),
    "why_type": ("files of this type are not accepted", "不接受这种类型的文件"),
    "why_empty": ("it is empty", "文件是空的"),
    "why_gone": ("it is no longer there", "文件已不存在"),
    "why_refused": ("it may not be fetched", "无权获取该文件"),
    "why_unreachable": ("it could not be fetched", "下载失败"),
    "why_too_many": ("there were too many files in one message", "一条消息中的文件过多"),
    "why_not_recognised": ("the speech could not be recognised", "语音识别失败"),
    "why_no_codec": ("the recording is in a format I cannot convert", "录音格式无法转换"),
    "why_silent": ("I could not hear any words in it", "没有听到任何内容"),
    # to the model
    "no_words": ("(The user sent this without any words.)", "(用户没有附带文字。)"),
    "for_model_image": (
        "[The user attached the picture {name}. You cannot see it; say so if it matters.]",
        "[用户附上了图片 {name}。你看不到它;如有必要请说明。]",
    ),
    "for_model_voice": (
        "[The user attached the recording {name}. You cannot hear it; say so if it matters.]",
        "[用户附上了录音 {name}。你听不到它;如有必要请说明。]",
    ),
    "for_model_video": (
        "[The user attached the video {name}. You cannot watch it; say so if it matters.]",
        "[用户附上了视频 {name}。你看不到它;如有必要请说明。]",
    ),
    "for_model_file": (
        "[The user attached the file {name}. You cannot read it; say so if it matters.]",
        "[用户附上了文件 {name}。你读不到它的内容;如有必要请说明。]",
    ),
}
