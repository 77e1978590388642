"""The engine's status as a table: for ``carebus status`` and the demo's live view."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from engine.cli.words import word
from engine.contract import ErrorInfo
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

COLUMNS: Final = (
    "channel",
    "system",
    "state",
    "in",
    "out",
    "queue",
    "retry",
    "held",
    "dead",
    "rate",
    "last error",
)

_STYLE: Final = {
    ChannelState.RUNNING: "green",
    ChannelState.STARTING: "yellow",
    ChannelState.FAILED: "red bold",
    ChannelState.STANDBY: "dim",
    ChannelState.STOPPED: "dim",
    ChannelState.REMOVED: "red bold",
}


def render_status(status: EngineStatus) -> Table:
    """One row a channel, inbound first; numbers that need a person stand out."""
    ready = word("ready") if status.ready else word("not ready")
    title = Text(f"carebus · {ready} · {word('configuration')} {status.version[:12]}")
    if status.refusing is not None:
        title.append(f"\n{refusal_of(status.refusing)}", style="red bold")
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        caption=_caption(status),
        caption_justify="left",
        pad_edge=False,
        show_edge=False,
        padding=0,
    )
    for name in COLUMNS:
        text = name in ("channel", "system", "state", "last error")
        table.add_column(
            word(name),
            justify="left" if text else "right",
            # Only the error gives way on a narrow terminal.
            no_wrap=name != "last error",
        )
    for channel in ordered(status):
        queue, retry, held, dead = _backlog(channel)
        table.add_row(
            channel.name,
            channel.system,
            _state(channel),
            _count(channel, "inbound", channel.received),
            _count(channel, "outbound", channel.sent),
            queue,
            Text(retry, style="yellow" if channel.retrying else ""),
            Text(held, style="yellow bold" if channel.uncertain else ""),
            Text(dead, style="red bold" if channel.dead else ""),
            f"{rate_of(channel):.1f}",
            _trouble(channel),
        )
    return table


def _caption(status: EngineStatus) -> str:
    lines = [f"{word('running since')} {local(status.started_at)}", *process_lines(status)]
    return "\n".join(lines)


def process_lines(status: EngineStatus) -> list[str]:
    """One line for each living process, where several share the store."""
    if len(status.nodes) < 2:
        return []
    lines = []
    for node in status.nodes:
        line = f"{word('process')} {node.name} · {word(node.role or 'starting')}"
        line += f" · {word('running since')} {local(node.started_at)}"
        if node.version and node.version != status.version:
            line += f" · {word('configuration')} {node.version[:12]}"
        lines.append(line)
    return lines


def plain_rows(status: EngineStatus) -> list[tuple[str, ...]]:
    """The same cells without style, heading first: for a pipe."""
    rows: list[tuple[str, ...]] = [tuple(name.replace(" ", "_") for name in COLUMNS)]
    rows += [
        (
            channel.name,
            channel.system,
            channel.state.value,
            _count(channel, "inbound", channel.received),
            _count(channel, "outbound", channel.sent),
            *_backlog(channel),
            f"{rate_of(channel):.1f}",
            _trouble(channel).plain,
        )
        for channel in ordered(status)
    ]
    return rows


def refusal_of(error: ErrorInfo) -> str:
    """That nothing new is taken, why, and what to do."""
    return f"{word('takes no new messages')}: {error.code} {error.summary}; {error.help or ''}"


def ordered(status: EngineStatus) -> list[ChannelStatus]:
    return sorted(status.channels, key=lambda channel: (channel.direction, channel.name))


def rate_of(channel: ChannelStatus) -> float:
    return channel.rate_in if channel.direction == "inbound" else channel.rate_out


def error_of(channel: ChannelStatus) -> str:
    error = channel.last_error
    return "" if error is None else f"{error.code} {error.summary}"


def local(time: datetime) -> str:
    """In the zone of the one who reads, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(since: datetime) -> str:
    """``42s``, ``7m``, ``3h``, ``2d``: how long ago, in one unit."""
    seconds = int(max(0.0, (datetime.now(UTC) - since).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _state(channel: ChannelStatus) -> Text:
    # A queue that stands still is what matters about a channel that is open.
    if channel.blocked and channel.state is ChannelState.RUNNING:
        return Text(word("blocked"), style="yellow bold")
    return Text(word(channel.state.value), style=_STYLE[channel.state])


def _trouble(channel: ChannelStatus) -> Text:
    """The alerts that hold, who stopped it, where it failed, then the last error."""
    parts = [word(alert.value) for alert in channel.alerts]
    if channel.halt is not None:
        why = f": {channel.halt.reason}" if channel.halt.reason else ""
        parts.append(f"{word('stopped by')} {channel.halt.actor}{why}")
    if channel.failed_on and channel.state is not ChannelState.FAILED:
        parts.append(f"{word('failed')}: {', '.join(channel.failed_on)}")
    alerts = ", ".join(parts)
    text = Text(alerts, style="yellow bold")
    if channel.last_error is not None:
        text.append("; " if alerts else "", style="")
        text.append(error_of(channel), style="red")
    return text


def _count(channel: ChannelStatus, direction: str, count: int) -> str:
    return str(count) if channel.direction == direction else "-"


def _backlog(channel: ChannelStatus) -> tuple[str, str, str, str]:
    if channel.direction == "inbound":
        return ("-", "-", "-", "-")
    queue = str(channel.waiting)
    if channel.oldest_waiting is not None:
        queue += f" ({age(channel.oldest_waiting)})"
    return (queue, str(channel.retrying), str(channel.uncertain), str(channel.dead))
