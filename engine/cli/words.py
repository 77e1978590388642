"""The few words that administrators read, in the language of the terminal.

Only headings and states are translated; codes, names and error summaries stay as they are, so that
two people can talk about the same text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_CHINESE: Final[Mapping[str, str]] = {
    "channel": "通道",
    "system": "系统",
    "state": "状态",
    "in": "接收",
    "out": "发送",
    "queue": "排队",
    "retry": "重试",
    "dead": "死信",
    "held": "待人工",
    "rate": "速率/秒",
    "last error": "最近错误",
    "message": "消息",
    "delivery": "投递",
    "deliveries": "投递",
    "type": "类型",
    "control id": "控制号",
    "received": "已接收",
    "received at": "接收时间",
    "size": "字节",
    "at": "时间",
    "attempt": "次数",
    "actor": "操作者",
    "error": "错误",
    "route": "路由",
    "target": "目标",
    "keys": "索引",
    "history": "历史",
    "content": "原文",
    "sent content": "发出内容",
    "reply": "应答",
    "purged": "已清除",
    "none": "无",
    "blocked": "阻塞",
    "ready": "就绪",
    "not ready": "未就绪",
    "takes no new messages": "不再接收新消息",
    "running since": "运行自",
    "process": "进程",
    "stopped by": "停止者",
    # roles of a process
    "all": "全部",
    "sources": "接收端",
    "workers": "发送端",
    "configuration": "配置",
    "more with": "更多",
    "table": "表",
    "backup": "备份",
    "in backup": "备份中",
    "in store": "库中",
    "restored": "已恢复",
    "missing": "缺失",
    "whole": "完整",
    "nothing is missing": "无缺失",
    "bytes": "字节",
    "messages": "消息",
    # alerts
    "queue_over": "排队过多",
    "oldest_over": "积压过久",
    "idle_over": "长时间无消息",
    # states
    "starting": "启动中",
    "running": "运行",
    "failed": "故障",
    "standby": "备用",
    "stopped": "已停止",
    "removed": "已移除",
    "filtered": "已过滤",
    "unrouted": "无路由",
    "rejected": "已拒收",
    "queued": "排队",
    "retrying": "重试中",
    "uncertain": "结果不明",
    "sent": "已发送",
    "cancelled": "已取消",
}


def chinese(environ: Mapping[str, str] | None = None) -> bool:
    """The first of LC_ALL, LC_MESSAGES and LANG that is set begins with ``zh``."""
    given = os.environ if environ is None else environ
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if given.get(name):
            return given[name].lower().startswith("zh")
    return False


def word(english: str) -> str:
    """The word in the terminal's language; an unknown one stays as it is."""
    return _CHINESE.get(english, english) if chinese() else english
