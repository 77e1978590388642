"""RabbitMQ nodes of our own: the project starts them, on free ports, in a folder that it deletes.

Nothing of the machine's is touched: nodes have their own names, Erlang cookie, port mapper (epmd),
data, logs and home, and run as the package's user when the tests run as root.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
GREETING = b"AMQP\x00\x00\x09\x01"
USER, PASSWORD = "carebus", "carebus-test"


@dataclass(frozen=True, slots=True)
class NodeTls:
    """What the node's TLS listener shows and asks for; ``clients``: a certificate is a must."""

    ca: Path
    certificate: Path
    key: Path
    clients: bool = True


@dataclass(slots=True)
class RabbitNode:
    """One node; `start` returns when it takes connections.  Its data outlive `stop` and `kill`."""

    name: str
    folder: Path
    port: int
    tls_port: int | None
    _environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """Of the running node."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start without waiting."""
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                **_as_user(),
            )

    def ready(self) -> None:
        """Return when the node speaks AMQP.  Raises AssertionError with its last words."""
        deadline = time.monotonic() + START_SECONDS
        while not self._greets():
            process = self._process
            ended = process is None or process.poll() is not None
            if ended or time.monotonic() > deadline:
                log = (self.folder / "console.log").read_text(errors="replace")
                raise AssertionError(f"RabbitMQ node {self.name} did not start:\n{log[-3000:]}")
            time.sleep(0.05)

    def start(self) -> None:
        self.launch()
        self.ready()

    def stop(self) -> None:
        """An orderly stop, as a service manager does it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """What a power cut does to a process."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """The node hangs: connections stay open and nothing is answered."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def ctl(self, *arguments: str) -> str:
        """``rabbitmqctl`` with these arguments; about a second each."""
        done = subprocess.run(
            [PROGRAMS / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
            **_as_user(),
        )
        assert done.returncode == 0, f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(GREETING)
                return connection.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if how is signal.SIGKILL:
                os.killpg(process.pid, how)
            else:
                process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)


@cache
def shared_node() -> RabbitNode:
    """One node for a whole run of the tests, started when the first of them needs it.  Whoever
    stops or changes it puts it right again."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(rabbit_nodes(1))[0]


@contextlib.contextmanager
def rabbit_nodes(
    count: int = 1, *, tls: NodeTls | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Sequence[RabbitNode]]:
    """Running nodes, one cluster when there are several.  ``settings``: lines of rabbitmq.conf."""
    assert PROGRAMS.is_dir(), "rabbitmq-server is missing: run .ci/setup test"
    folder = Path(tempfile.mkdtemp(prefix="carebus-rabbitmq-"))
    ports = iter(_free_ports(1 + 3 * count))
    mapper_port = next(ports)
    cookie = secrets.token_hex(16)
    names = [f"carebus{number}-{mapper_port}@localhost" for number in range(count)]
    nodes: list[RabbitNode] = []
    mapper: subprocess.Popen[bytes] | None = None
    try:
        _hand_over(folder)
        mapper = subprocess.Popen(
            ["epmd", "-port", str(mapper_port), "-address", "127.0.0.1"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            **_as_user(),
        )
        for name in names:
            node = _prepared(
                folder / name.partition("@")[0],
                name,
                peers=names,
                ports=(mapper_port, next(ports), next(ports), next(ports)),
                cookie=cookie,
                tls=tls,
                settings=settings or {},
            )
            nodes.append(node)
            node.launch()
        for node in nodes:
            node.ready()
        if count > 1:
            nodes[0].ctl("await_online_nodes", str(count))
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        if mapper is not None:
            mapper.kill()
            mapper.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _prepared(
    folder: Path,
    name: str,
    *,
    peers: Sequence[str],
    ports: tuple[int, int, int, int],
    cookie: str,
    tls: NodeTls | None,
    settings: Mapping[str, str],
) -> RabbitNode:
    mapper_port, spread_port, port, tls_port = ports
    folder.mkdir()
    secret = folder / ".erlang.cookie"
    secret.write_text(cookie)
    secret.chmod(0o400)
    lines = {
        "listeners.tcp.1": f"127.0.0.1:{port}",
        "default_user": USER,
        "default_pass": PASSWORD,
        "log.file.level": "warning",
        "disk_free_limit.absolute": "50MB",
        **settings,
    }
    if len(peers) > 1:
        lines["cluster_formation.peer_discovery_backend"] = "classic_config"
        lines["cluster_formation.randomized_startup_delay_range.min"] = "0"
        lines["cluster_formation.randomized_startup_delay_range.max"] = "1"
        for number, peer in enumerate(peers, start=1):
            lines[f"cluster_formation.classic_config.nodes.{number}"] = peer
    if tls is not None:
        lines["listeners.ssl.1"] = f"127.0.0.1:{tls_port}"
        for option in ("ca", "certificate", "key"):
            shutil.copy(getattr(tls, option), folder / f"{option}.pem")
        lines["ssl_options.cacertfile"] = str(folder / "ca.pem")
        lines["ssl_options.certfile"] = str(folder / "certificate.pem")
        lines["ssl_options.keyfile"] = str(folder / "key.pem")
        lines["ssl_options.verify"] = "verify_peer"
        lines["ssl_options.fail_if_no_peer_cert"] = str(tls.clients).lower()
    (folder / "rabbitmq.conf").write_text("".join(f"{k} = {v}\n" for k, v in lines.items()))
    (folder / "plugins").write_text("[].")
    (folder / "mnesia").mkdir()
    _hand_over(folder)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_DIST_PORT": str(spread_port),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),  # not the machine's
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
        "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node: signals reach it
    }
    return RabbitNode(name, folder, port, tls_port if tls is not None else None, environment)


def _as_user() -> dict[str, int]:
    """How `subprocess` runs a server that must not be root; nothing for anybody else."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("rabbitmq")
    return {"user": user.pw_uid, "group": user.pw_gid, "umask": 0o077}


def _hand_over(folder: Path) -> None:
    owner = _as_user()
    if owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner["user"], owner["group"])


def _free_ports(count: int) -> list[int]:
    """Free now; held together while they are found, so that no two are alike."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
