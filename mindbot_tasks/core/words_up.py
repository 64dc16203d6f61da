"""What `mindbot up` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "port_taken": (
        "port {port} on {host} is taken; stop the other program or choose another: PORT={other} make run",
        "{host} 的端口 {port} 已被占用;请停止占用它的程序,或换一个端口:PORT={other} make run",
    ),
    "port_refused": ("cannot listen on {host}:{port}: {why}", "无法监听 {host}:{port}:{why}"),
    "port_unreadable": ("PORT must be a number, not {value!r}", "PORT 必须是数字,而不是 {value!r}"),
    "home_unusable": ("cannot write to the data directory {home}: {why}", "无法写入数据目录 {home}:{why}"),
    "home_busy": (
        "MindBot already runs on {home} (process {pid}); stop it first, or set MINDBOT_HOME to another directory",
        "MindBot 已在 {home} 上运行(进程 {pid});请先停止它,或将 MINDBOT_HOME 设为其他目录",
    ),
    "redis_missing": (
        "no redis-server >= 6.2 found. Install one ({hint}) or set REDIS_URL",
        "找不到 6.2 或更高版本的 redis-server。请安装({hint}),或设置 REDIS_URL",
    ),
    "redis_failed": ("Redis did not start: {why}", "Redis 未能启动:{why}"),
    "redis_unreachable": ("no Redis answers at REDIS_URL ({url}): {why}", "REDIS_URL({url})上的 Redis 没有应答:{why}"),
    "redis_data_busy": (
        "another redis-server still uses {data}; wait for it to end",
        "另一个 redis-server 仍在使用 {data};请等它结束",
    ),
    "procfile_missing": ("there is no Procfile at {path}", "找不到 Procfile:{path}"),
    "role_unknown": (
        "there is no role {role!r} in the Procfile; there are: {roles}",
        "Procfile 中没有角色 {role!r};可用的有:{roles}",
    ),
    "release_failed": (
        "preparing the database failed (exit {code}): {command}",
        "准备数据库失败(退出码 {code}):{command}",
    ),
    "started": ("started (process {pid})", "已启动(进程 {pid})"),
    "ended": ("ended ({how}); starting again in {delay:g} s", "已结束({how});{delay:g} 秒后重新启动"),
    "last_lines": ("its last lines were:", "它最后输出的内容:"),
    "cannot_start": ("cannot be started: {why}; trying again in {delay:g} s", "无法启动:{why};{delay:g} 秒后重试"),
    "exit_code": ("exit code {code}", "退出码 {code}"),
    "signal": ("killed by {name}", "被 {name} 终止"),
    "stopping": (
        "stopping; running answers get up to {drain:g} s (Ctrl-C again to end at once)",
        "正在停止;进行中的回答最多再等 {drain:g} 秒(再按一次 Ctrl-C 立即结束)",
    ),
    "hastened": ("ending at once", "立即结束"),
    "overdue": ("did not end in time; killed", "未能按时结束;已强制终止"),
    "stopped": ("stopped after {seconds:.1f} s", "已停止,用时 {seconds:.1f} 秒"),
    "embedded_redis": (
        "Redis {version} on 127.0.0.1:{port}, data in {data}",
        "Redis {version} 位于 127.0.0.1:{port},数据在 {data}",
    ),
    "waiting": ("waiting for: {reasons}", "正在等待:{reasons}"),
    "waiting_web": ("the web process", "web 进程"),
    "ready": ("MindBot is ready", "MindBot 已就绪"),
    "banner_playground": ("write to the bot", "与机器人对话"),
    "banner_console": ("alerts", "告警"),
    "banner_health": ("health", "健康检查"),
    "banner_flower": ("Flower (tasks)", "Flower(任务)"),
    "banner_credentials": ("login: see {path}", "登录信息见 {path}"),
    "banner_webhook": ("first webhook", "第一个 webhook"),
    "banner_config": ("configuration", "配置文件"),
    "banner_data": ("data", "数据"),
    "banner_no_config": (
        "none (defaults); copy mindbot.example.yaml to mindbot.yaml",
        "无(使用默认值);可将 mindbot.example.yaml 复制为 mindbot.yaml",
    ),
    "banner_no_model": (
        "no model is configured: the offline answerer replies. Add a section `providers` or `workflows`.",
        "尚未配置模型:由离线应答器回复。请添加 `providers` 或 `workflows` 配置段。",
    ),
    "banner_skipped": ("not started", "未启动"),
    "banner_stop": ("Ctrl-C stops everything.", "按 Ctrl-C 停止全部进程。"),
    "always": ("always", "始终启动"),
    "asked_not": ("not named in --only", "未在 --only 中指定"),
    "no_bridge": (
        "no DingTalk bot in stream mode and no AIM account is configured",
        "未配置 stream 模式的钉钉机器人,也未配置 AIM 账号",
    ),
    "bridge_unsupported": (
        "configured ({names}), but this version cannot hold such a connection",
        "已配置({names}),但此版本尚不支持这种连接",
    ),
    "bridge_wanted": ("configured: {names}", "已配置:{names}"),
    "no_knowledge": ("no chromadb section is configured", "未配置 chromadb"),
    "no_agent": ("agent.langchain is off, or has no provider", "agent.langchain 未启用,或没有可用的提供方"),
    "agent_wanted": ("agent.langchain is on", "agent.langchain 已启用"),
    "chroma_elsewhere": ("chromadb.url names a server: {url}", "chromadb.url 指定了服务器:{url}"),
    "knowledge_wanted": ("the knowledge base is configured", "已配置知识库"),
    "no_alerts": ("alert_manager is off", "alert_manager 未启用"),
    "watchdog_unsupported": (
        "alert_manager is on, but this version has no watchdog",
        "alert_manager 已启用,但此版本尚无 watchdog",
    ),
    "no_local_model": ("no model of this machine is configured", "未配置本机模型"),
    "local_model_wanted": ("a model of this machine is configured: {names}", "已配置本机模型:{names}"),
    "no_local_extra": (
        'a model of this machine is configured ({names}), but the extra "local" is not installed',
        '已配置本机模型({names}),但未安装 "local" 扩展',
    ),
    "alerts_wanted": ("alert_manager is on", "alert_manager 已启用"),
    "plan_role": ("role", "角色"),
    "plan_starts": ("starts", "启动"),
    "plan_reason": ("because", "原因"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
}
