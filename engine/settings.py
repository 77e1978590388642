"""The settings of the process: everything that differs between a laptop and a hospital.

They are environment variables, or lines of a ``.env`` file in the project's directory; the
environment wins.  `read_settings` checks them all at once and raises `ConfigError`; it touches no
network, makes no file, and never repeats a value that may hold a password.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from engine.contract import ConfigError, ErrorInfo, Stage

LogForm = Literal["auto", "console", "json"]

DEFAULT_API_LISTEN: Final = "127.0.0.1:8600"
DEFAULT_DASHBOARD_LISTEN: Final = "127.0.0.1:8601"

VARIABLES: Final[Mapping[str, str]] = {
    "CAREBUS_BROKER_URL": "where envelopes wait: embedded: or amqp://USER:PASSWORD@HOST/VHOST",
    "CAREBUS_STORE_URL": "where messages are kept: sqlite:///PATH or postgresql://…",
    "CAREBUS_API_LISTEN": "the control endpoint, HOST:PORT",
    "CAREBUS_DASHBOARD_LISTEN": "the dashboard, HOST:PORT or off",
    "CAREBUS_LOG": "console, json or auto (console on a terminal, else json)",
    "CAREBUS_CONTENT_KEY": "encryption at rest",
}

_LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")
_LISTEN = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})$")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener of ours is bound; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Nobody outside this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings of one engine process.  ``data`` need not exist yet."""

    config: Path
    data: Path
    broker_url: str
    store_url: str
    api_listen: Listen
    dashboard_listen: Listen | None
    log: LogForm


def read_environment(config: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """``environ`` over the lines of ``<config>/.env``.

    A line is ``NAME=value``, quoted or not; ``#`` starts a comment line.  Raises ConfigError
    (P003) that names the line, never its text: secrets are kept in this file.
    """
    path = config / ".env"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return dict(environ)
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(
            "P003", "the .env file cannot be read", str(path), "it must be UTF-8 text"
        ) from error
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise _wrong(
                "P003", "a line of .env is not NAME=value", f"{path}:{number}", "write NAME=value"
            )
        values[match[1]] = _unquoted(match[2], f"{path}:{number}")
    return {**values, **environ}


def read_settings(config: Path, data: Path, environ: Mapping[str, str]) -> Settings:
    """The settings for a project and a data directory, from an environment as `read_environment`
    gives it.  An empty value counts as unset.  Raises ConfigError (P001 wrong value, P002 unknown
    variable, P004 not available yet)."""
    given = {name: text for name, text in environ.items() if name.startswith("CAREBUS_") and text}
    for name in given:
        if name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(VARIABLES)}"
            raise _wrong("P002", f"there is no setting {name}", name, hint)
    if "CAREBUS_CONTENT_KEY" in given:
        raise _wrong(
            "P004",
            "encryption at rest is not available yet",
            "CAREBUS_CONTENT_KEY",
            "unset it, and keep the data directory on an encrypted disk",
        )
    dashboard = given.get("CAREBUS_DASHBOARD_LISTEN", DEFAULT_DASHBOARD_LISTEN)
    return Settings(
        config=config,
        data=data,
        broker_url=_broker(given.get("CAREBUS_BROKER_URL", "embedded:")),
        store_url=_store(given.get("CAREBUS_STORE_URL") or _default_store(data)),
        api_listen=_listen("CAREBUS_API_LISTEN", given.get("CAREBUS_API_LISTEN")),
        dashboard_listen=None
        if dashboard == "off"
        else _listen("CAREBUS_DASHBOARD_LISTEN", dashboard),
        log=_log(given.get("CAREBUS_LOG", "auto")),
    )


def _default_store(data: Path) -> str:
    # Four slashes for an absolute path: SQLAlchemy's form of a SQLite URL.
    return f"sqlite:///{data.absolute() / 'carebus.db'}"


def _broker(url: str) -> str:
    name = "CAREBUS_BROKER_URL"
    if url == "embedded:":
        return url
    if url.startswith(("amqp://", "amqps://")):
        return url
    raise _wrong("P001", "the broker is not known", name, "use embedded: or amqp://HOST")


def _store(url: str) -> str:
    name = "CAREBUS_STORE_URL"
    if re.match(r"^(?:sqlite:///|postgres(?:ql)?://)\S", url):
        return url
    raise _wrong(
        "P001",
        "the store is not known",
        name,
        "use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE",
    )


def _listen(name: str, text: str | None) -> Listen:
    match = _LISTEN.match(text or DEFAULT_API_LISTEN)
    if match is None or int(match["port"]) > 65535:
        raise _wrong("P001", "not an address to listen on", name, f"write {DEFAULT_API_LISTEN}")
    return Listen(match["v6"] or match["host"], int(match["port"]))


def _log(text: str) -> LogForm:
    if text not in ("auto", "console", "json"):
        raise _wrong("P001", "not a form of log", "CAREBUS_LOG", "use console, json or auto")
    return cast("LogForm", text)


def _unquoted(text: str, location: str) -> str:
    if text[:1] in ("'", '"'):
        if len(text) < 2 or text[-1] != text[0]:
            raise _wrong("P003", "a quote is not closed in .env", location, "close the quote")
        return text[1:-1]
    return text


def _wrong(code: str, summary: str, location: str, help: str) -> ConfigError:
    return ConfigError(ErrorInfo(code, summary, Stage.STARTING, location=location, help=help))
