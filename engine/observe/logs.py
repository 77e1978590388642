"""The engine's log: one line an event on stderr, JSON or for people, never clinical content.

`configure` sets up structlog and routes the standard library's loggers (uvicorn, aiohttp, alembic,
asyncio, warnings) into the same form.  Events are constant texts; what varies is a keyword:
``log.warning("channel lost its peer", error=info)``.  Normal operation logs nothing for a single
message at INFO or above.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, Literal, TextIO

import orjson
import structlog

from engine.observe.withheld import NEVER, plain, summary, text, trace

Form = Literal["auto", "console", "json"]
_Event = MutableMapping[str, Any]

# What the standard library's loggers say below these levels is their business, not a keeper's.
_FOREIGN: Final = {
    "aiohttp": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "aiohttp.access": logging.CRITICAL,
    "watchfiles": logging.WARNING,
}

# Set by structlog or by us; everything else in an event comes from a caller.
_OURS: Final = frozenset({"level", "logger", "timestamp", "trace"})


def configure(form: Form, *, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Write logs to ``stream`` (stderr) from now on; called once at start, or again in tests."""
    target = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and target.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _shorten_exception,
        withhold,
    ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # Foreign records arrive with %-arguments: each is judged alone before it is set in.
            foreign_pre_chain=[_judge_arguments, *shared],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=40)
                if console
                else structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, floor in _FOREIGN.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(floor)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def capture_uncaught() -> None:
    """What would end the process, a thread or a finalizer as a traceback goes to the log instead:
    the interpreter would print the exception's text, and that may be a piece of a message."""
    log = structlog.get_logger("carebus")

    def uncaught(kind: type[BaseException], error: BaseException, place: Any) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            log.critical("ended by a defect", exc_info=error)

    def in_thread(given: threading.ExceptHookArgs) -> None:
        log.critical("a thread ended by a defect", exc_info=given.exc_value)

    def unraisable(given: Any) -> None:
        log.error("a defect nobody could catch", exc_info=given.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def withhold(logger: Any, method: str, event: _Event) -> _Event:
    """A structlog processor: every value becomes `plain`; the event's own text is judged too."""
    for key, value in event.items():
        if key == "event":
            event[key] = text(value) if isinstance(value, str) else plain(value)
        elif key not in _OURS:
            event[key] = f"<withheld {key}>" if key in NEVER else plain(value)
    return event


def _shorten_exception(logger: Any, method: str, event: _Event) -> _Event:
    given = event.pop("exc_info", None)
    for key in ("stack_info", "trace"):
        event.pop(key, None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = summary(given)
        event["trace"] = list(trace(given))
    return event


def _judge_arguments(logger: Any, method: str, event: _Event) -> _Event:
    template: str = event["event"]
    arguments = event.pop("positional_args", None)
    if arguments:
        safe: Any = (
            {key: _argument(value) for key, value in arguments.items()}
            if isinstance(arguments, dict)
            else tuple(_argument(value) for value in _as_sequence(arguments))
        )
        try:
            template = template % safe
        except (TypeError, ValueError):
            template = f"{template} (arguments withheld)"
    # Further lines are somebody's repr: asyncio's of a task, with the text of its exception.
    first, *more = template.split("\n", 1)
    event["event"] = f"{first} …" if more else first
    return event


def _argument(value: Any) -> Any:
    judged = plain(value)
    return judged if isinstance(judged, int | float | str) else str(judged)


def _as_sequence(arguments: Any) -> Sequence[Any]:
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()
