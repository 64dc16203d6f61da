"""What `mindbot ask` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "empty": ("ask something", "请输入问题"),
    "never_started": (
        "MindBot has never run on {home}; start it with `make run` or `mindbot up`, or set MINDBOT_HOME",
        "MindBot 从未在 {home} 上运行过;请用 `make run` 或 `mindbot up` 启动,或设置 MINDBOT_HOME",
    ),
    "playground_off": (
        "the playground is off (production mode or web.playground: false); "
        "name a bot of the section `chat`: --bot NAME",
        "对话页面已关闭(生产模式或 web.playground: false);请用 --bot 名称 指定 `chat` 中的机器人",
    ),
    "unknown_bot": (
        "there is no bot {bot} in the section `chat`; there are: {known}",
        "`chat` 中没有机器人 {bot};可用的有:{known}",
    ),
    "no_secret": ("the bot {bot} has no secret to sign with", "机器人 {bot} 没有可用于签名的密钥"),
    "not_running": (
        "nothing answers at {url} ({why}); start MindBot with `make run` or `mindbot up`, or set PORT or --url",
        "{url} 无应答({why});请用 `make run` 或 `mindbot up` 启动 MindBot,或设置 PORT 或 --url",
    ),
    "refused_401": (
        "{path} does not take our signature; is it the same installation? (MINDBOT_HOME, MINDBOT_SECRET_KEY)",
        "{path} 不接受签名;是否为同一套安装?(MINDBOT_HOME、MINDBOT_SECRET_KEY)",
    ),
    "refused_404": (
        "{path} does not exist there; its configuration is another one, or another program listens on that port",
        "{path} 不存在;对方的配置不同,或该端口上是其他程序",
    ),
    "refused_503": (
        "MindBot cannot record messages now: its database does not answer; see `mindbot doctor`",
        "MindBot 目前无法记录消息:数据库无应答;请运行 `mindbot doctor`",
    ),
    "refused": ("{path} answered {status}", "{path} 返回 {status}"),
    "somebody_else": ("what listens at {url} is not MindBot", "{url} 上的程序不是 MindBot"),
    "accepted": ("accepted as message {id}", "已接收,消息编号 {id}"),
    "stage": ("{stage:<9} {took} ms, after waiting {waited} ms", "{stage:<9} {took} 毫秒,此前等待 {waited} 毫秒"),
    "growing": ("answering: {count} characters", "正在回答:{count} 个字符"),
    "took": ("{ms} ms in all; more: mindbot messages show {id}", "共 {ms} 毫秒;详情:mindbot messages show {id}"),
    "too_late": (
        "no answer within {seconds} s (message {id} is {state}); later: mindbot messages show {id}",
        "{seconds} 秒内没有回答(消息 {id} 状态为 {state});稍后查看:mindbot messages show {id}",
    ),
    "no_answer": (
        "message {id} ended as {state} and not with an answer: {why}",
        "消息 {id} 以 {state} 结束,未得到回答:{why}",
    ),
}
