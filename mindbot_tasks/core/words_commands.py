"""What the bot says to chat commands and by its own rules."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "help": (
        "I answer your questions; just write. I also know these commands:\n\n"
        "- `/help`: this help\n"
        "- `/new` (or `/reset`): forget what was said so far\n"
        "- `/stop`: stop the answer that I am working on\n"
        "- `/status`: what I am doing, and which model answers\n"
        "- `/history`: the last questions and answers\n"
        "- `/remember ...` (or “remember that ...”): keep something about you; `/facts` lists it\n"
        "- `/forget [number]`: forget one of these, or all of them and this conversation\n"
        "- `/usage`: what you used today",
        "直接提问即可。我还认识这些命令：\n\n"
        "- `/帮助`：显示本帮助\n"
        "- `/新对话`（或 `/重置`）：忘记之前的对话\n"
        "- `/停止`：停止正在进行的回答\n"
        "- `/状态`：我在做什么、由哪个模型回答\n"
        "- `/历史`：最近的问答\n"
        "- `/记住 ……`（或直接说“记住……”）：记住关于您的内容；`/记忆` 查看列表\n"
        "- `/忘记 [编号]`：忘记其中一条；不写编号则全部忘记，包括本会话\n"
        "- `/用量`：您今天的用量",
    ),
    "help_admin": (
        "- `/model [name]`: show or choose the model of this conversation (`/model default` for none)\n"
        "- `/ack ALERT`: acknowledge an alert\n"
        "- `/learn ADDRESS`: have a page or document on the web read",
        "- `/模型 [名称]`：查看或选择本会话的模型（`/模型 default` 恢复默认）\n- `/确认 告警编号`：确认告警\n"
        "- `/学习 网址`：阅读网上的网页或文档",
    ),
    "unknown": ("I do not know the command `/{word}`.", "我不认识命令 `/{word}`。"),
    "new": ("Done: I have forgotten what was said so far.", "好的，之前的对话已忘记，我们重新开始。"),
    "stopped": ("Stopped.", "已停止。"),
    "stopped_many": ("Stopped; {count} messages will not be answered.", "已停止，共 {count} 条消息不再回答。"),
    "stopped_late": (
        "The answer was already on its way to you; what had not been sent yet stays away.",
        "回答已经在发送了；尚未发出的部分不再发送。",
    ),
    "nothing_to_stop": ("There is nothing to stop: I am not working on an answer here.", "当前没有正在进行的回答。"),
    "status_idle": ("I am not working on anything else here.", "当前没有其他正在处理的消息。"),
    "status_line": ("- #{id}: {what}, {age_s} s ago", "- #{id}：{what}，{age_s} 秒前收到"),
    "status_ahead": ("Being worked on or waiting here ({count}):", "正在处理或等待（共 {count} 条）："),
    "status_more": ("- and {count} more", "- 另有 {count} 条"),
    "status_model": ("Model: {model}", "模型：{model}"),
    "default_model": ("as configured", "按配置"),
    "state_waiting": ("waiting", "等待中"),
    "state_received": ("being read", "正在读取"),
    "state_classified": ("being answered", "正在回答"),
    "state_answered": ("answered, about to be sent", "已有回答，即将发送"),
    "state_replying": ("being sent", "正在发送"),
    "history": ("The last questions and answers:", "最近的问答："),
    "history_pair": ("**You:** {question}\n**I:** {answer}", "**您：**{question}\n**我：**{answer}"),
    "no_history": ("Nothing was said here yet.", "这里还没有对话记录。"),
    "admins_only": ("Only administrators may use `/{word}`.", "只有管理员可以使用 `/{word}`。"),
    "models": (
        "Model of this conversation: {model}\n\nThere are: {models}",
        "本会话的模型：{model}\n\n可选：{models}",
    ),
    "models_unbuilt": (
        "Not completely configured (`mindbot config check` tells why): {names}",
        "配置不完整（原因见 `mindbot config check`）：{names}",
    ),
    "models_off": ("Switched off: {names}", "已关闭：{names}"),
    "no_models": ("no model is configured", "没有配置任何模型"),
    "model_set": ("From now on {model} answers first here.", "从现在起，本会话优先由 {model} 回答。"),
    "model_default": ("From now on models are chosen as configured.", "已恢复按配置选择模型。"),
    "model_unknown": ("There is no model `{name}`. There are: {models}", "没有模型 `{name}`。可选：{models}"),
    "model_ambiguous": ("Several providers have `{name}`: {models}", "多个提供方都有 `{name}`：{models}"),
    "learn_what": (
        "What shall I read? Write `/learn https://...`, the address of a page or document.",
        "要读什么？请写 `/学习 https://...`（网页或文档的地址）。",
    ),
    "learn_off": (
        "There is no knowledge base here: `chromadb` is not configured.",
        "没有知识库：未配置 `chromadb`。",
    ),
    "learn_nowhere": ("This bot uses no knowledge base.", "此机器人不使用知识库。"),
    "learn_begun": (
        "I read it now, into the knowledge base `{base}` (document {id}). `/learn {id}` tells how far I am.",
        "正在读取，存入知识库 `{base}`（文档 {id}）。用 `/学习 {id}` 查看进度。",
    ),
    "learn_state": ("Document {id}: {state}. {note}", "文档 {id}：{state}。{note}"),
    "learn_none": ("There is no document {id}.", "没有文档 {id}。"),
    "ack_which": ("Which alert? Write `/ack ALERT`.", "要确认哪条告警？请写 `/确认 告警编号`。"),
    "ack_done": ("Alert {alert} is acknowledged.", "告警 {alert} 已确认。"),
    "ack_none": ("There is no open alert `{alert}`.", "没有编号为 `{alert}` 的未确认告警。"),
    "limited": (
        "That was a bit much at once: I have to skip your next messages. Please try again in {wait_s} s.",
        "消息有点太频繁了，接下来的消息我会先跳过，请 {wait_s} 秒后再试。",
    ),
}
