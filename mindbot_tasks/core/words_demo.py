"""What `mindbot demo` says, and what is said in it."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    # progress
    "emulators": (
        "starting the emulators of DingTalk, WeCom, Dify and a model server",
        "正在启动钉钉、企业微信、Dify 和模型服务的模拟器",
    ),
    "starting": ("starting MindBot in a temporary folder", "正在临时目录中启动 MindBot"),
    "waiting": ("waiting for: {missing}", "正在等待:{missing}"),
    "sent": ("sent: {door}; the webhook was acknowledged in {ms} ms", "已发送:{door};webhook 在 {ms} 毫秒内确认"),
    "answered": ("answered: {door}, after {ms} ms", "已回答:{door},用时 {ms} 毫秒"),
    "stopping": ("stopping everything", "正在停止全部进程"),
    "done": (
        "{count} messages went in by webhook and were answered. Nothing of yours was touched; all of it is stopped.",
        "{count} 条消息经 webhook 进入并得到回答。未改动您的任何配置和数据;所有进程均已停止。",
    ),
    "kept": ("Ctrl-C stops everything and removes the folder.", "按 Ctrl-C 停止全部进程并删除临时目录。"),
    # what goes wrong
    "up_ended": ("the demo's MindBot did not start: {why}", "演示用的 MindBot 未能启动:{why}"),
    "not_ready": (
        "the demo's MindBot was not ready after {seconds} s; missing: {missing}",
        "演示用的 MindBot 在 {seconds} 秒后仍未就绪;缺少:{missing}",
    ),
    "refused": ("{path} did not take the message: {status}", "{path} 未接受消息:{status}"),
    "nobody": ("no answer", "无应答"),
    "not_answered": (
        "{door}: message {id} ended as {state} and not with an answer ({why})",
        "{door}:消息 {id} 以 {state} 结束,未得到回答({why})",
    ),
    "too_late": ("no answer after 60 s: {doors}", "60 秒后仍无回答:{doors}"),
    # doors
    "dingtalk_person": ("DingTalk, one-to-one", "钉钉单聊"),
    "dingtalk_group": ("DingTalk, group", "钉钉群聊"),
    "wecom_member": ("WeCom, a member", "企业微信成员"),
    "chat_fetch": ("signed JSON, answer fetched", "签名 JSON,主动取回回答"),
    "chat_callback": ("signed JSON, answer by callback", "签名 JSON,回调送达回答"),
    "back_dingtalk_person": ("session webhook of DingTalk", "钉钉会话 webhook"),
    "back_dingtalk_group": ("session webhook of DingTalk, the asker is mentioned", "钉钉会话 webhook,并 @ 提问者"),
    "back_wecom_member": ("message of the app", "应用消息"),
    "back_chat_fetch": ("GET /api/v1/messages/ID", "GET /api/v1/messages/ID"),
    "back_chat_callback": ("signed callback, its signature was checked", "签名回调,签名已验证"),
    # who says what
    "person": ("Zhang San", "张三"),
    "colleague": ("Li Si", "李四"),
    "ask_code": ("Why does this Python function return None?", "这段 Python 代码为什么会报错?"),
    "ask_translation": ("Please translate: good morning, team.", "请翻译:大家早上好。"),
    "member": ("Wang Wu", "王五"),
    "ask_member": ("How many days of leave do I have?", "我还有几天年假?"),
    "ask_fetch": ("What is a dead letter queue?", "什么是死信队列?"),
    "ask_callback": ("The printer on floor 3 is jammed again.", "三楼的打印机又卡纸了。"),
    # the transcript
    "row_kind": ("kind", "类别"),
    "row_by": ("answered by", "回答者"),
    "row_back": ("way back", "送达方式"),
    "row_stages": ("stages", "各阶段"),
    "kind": ("{label} ({confidence:.2f}; {reason})", "{label}({confidence:.2f};{reason})"),
    "by_workflow": ("workflow {workflow} ({provider})", "工作流 {workflow}({provider})"),
    "by_model": ("model {model} ({provider})", "模型 {model}({provider})"),
    "by_itself": ("MindBot itself ({provider})", "MindBot 自身({provider})"),
    "by_times": ("{ms} ms, first words after {first} ms", "{ms} 毫秒,首字 {first} 毫秒"),
    "acknowledged": ("webhook {ms} ms", "webhook {ms} 毫秒"),
    "stage": ("{stage} {waited}+{took} ms", "{stage} {waited}+{took} 毫秒"),
    "total": ("{ms} ms in all (each stage: waiting + working)", "共 {ms} 毫秒(各阶段:等待 + 处理)"),
    # --keep
    "url_playground": ("write to the bot", "与机器人对话"),
    "url_health": ("health", "健康检查"),
    "url_metrics": ("numbers", "指标"),
    "url_config": ("configuration", "配置文件"),
    "url_emulators": ("emulators", "模拟器"),
}
