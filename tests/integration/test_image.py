"""What the image does when it runs, without an engine for containers.

The Dockerfile's own command starts in a mount namespace that looks like the container: a read-only
root with the project in its place, nothing writable but the data folder and /tmp, the image's user,
no capabilities.  Only root can make such a place.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
WITHIN_SECONDS = 60.0  # as stop_grace_period
USER = 10001

ADT = (
    b"\x0bMSH|^~\\&|HIS|A|WARD|B|20260101080000||ADT^A01|IMAGE1|P|2.5.1\r"
    b"PID|||4711^^^HIS||MARK^ER||19700101|M\r\x1c\r"
)

# Arguments: the new root, the project, the data folder, what is shown read-only, --, the command.
PLACE = """
set -eu
root=$1 project=$2 data=$3
shift 3
shown() {
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
}
mount -t tmpfs -o mode=0755 place "$root"
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/var/lib/carebus"
for each in /bin /sbin /lib /lib64 /usr /etc; do
    if [ -L "$each" ]; then cp -d "$each" "$root$each"
    elif [ -e "$each" ]; then shown "$each" "$each"; fi
done
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
while [ "$1" != -- ]; do
    shown "$1" "$1"
    shift
done
shift
shown "$project" /srv/carebus/project
mount --bind "$data" "$root/var/lib/carebus"
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid USER --regid USER --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
""".replace("USER", str(USER))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


class Image:
    """The instructions of the Dockerfile that say how the image runs."""

    def __init__(self) -> None:
        with DOCKERFILE.open("rb") as file:
            stage = DockerfileParser(fileobj=file).structure
        last = max(at for at, each in enumerate(stage) if each["instruction"] == "FROM")
        said = {each["instruction"]: each["value"] for each in stage[last:]}
        self.command: list[str] = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
        self.folder = said["WORKDIR"]
        self.environment = dict(word.split("=", 1) for word in shlex.split(said["ENV"]))
        self.stop = signal.Signals[said["STOPSIGNAL"]]
        assert said["USER"] == f"{USER}:{USER}"


class Place:
    """A container's insides.  What the image has in /opt/carebus is shown at its own path here."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image = image
        self.port = _free_port()
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        (self.data / "archive").mkdir()
        for each in (self.data, self.data / "archive"):
            os.chown(each, USER, USER)
        self._root = folder / "root"
        self._root.mkdir()
        self._project = folder / "project"
        (self._project / "channels").mkdir(parents=True)
        (self._project / "channels" / "his-adt.yaml").write_text(
            "system: HIS\ndirection: inbound\nconnector: mllp\n"
            f"settings: {{host: 127.0.0.1, port: {self.port}}}\nformat: hl7v2\n"
        )
        (self._project / "channels" / "archive.yaml").write_text(
            "system: ARCHIVE\ndirection: outbound\nconnector: file\n"
            "settings: {directory: /var/lib/carebus/archive}\nformat: hl7v2\n"
        )
        (self._project / "routes.yaml").write_text(
            "routes:\n  - {name: copies, from: his-adt, to: [{channel: archive}]}\n"
        )
        self._project.chmod(0o755)

    def start(self, *command: str | Path, log: Path | None = None) -> subprocess.Popen[str]:
        programs = Path(sys.prefix) / "bin"
        variables = {
            **self.image.environment,
            "PATH": f"{programs}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "CAREBUS_API_LISTEN": "127.0.0.1:0",
        }
        shown = dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT)))
        place = [self._root, self._project, self.data]
        place += [each for each in shown if not each.startswith("/usr")]
        inside = ["env", "-i", f"--chdir={self.image.folder}"]
        inside += [f"{name}={value}" for name, value in variables.items()]
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", PLACE, "place"]
        output: Any = subprocess.PIPE if log is None else log.open("w")
        try:
            return subprocess.Popen(
                [*words, *place, "--", *inside, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        finally:
            if log is not None:
                output.close()

    def run(self, *command: str | Path) -> tuple[int, str]:
        process = self.start(*command)
        said, _ = process.communicate(timeout=WITHIN_SECONDS)
        return process.returncode, said

    def healthy(self) -> bool:
        return self.run("python", ROOT / "docker" / "healthcheck.py") == (0, "/live: 200\n")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    if os.geteuid() != 0:
        pytest.skip("THIS DID NOT RUN: only root can make a read-only root file system")
    return Place(Image(), tmp_path)


def test_nothing_is_writable_but_data_and_tmp(place: Place) -> None:
    tried = f"/ /etc /srv/carebus/project /usr {ROOT} /tmp /var/lib/carebus"
    probe = f"id -u; for each in {tried}; do (: >$each/x) 2>/dev/null && echo $each; done; true"
    code, said = place.run("sh", "-c", probe)
    assert (code, said.split()) == (0, [str(USER), "/tmp", "/var/lib/carebus"])  # noqa: S108


def test_it_starts_delivers_and_drains_on_a_read_only_root(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert not place.healthy()
    engine = place.start(*place.image.command, log=log)
    try:
        until(lambda: engine.poll() is not None or (place.data / "control-url").exists())
        assert engine.poll() is None, log.read_text()
        assert place.healthy()

        status = Path(f"/proc/{engine.pid}/status").read_text()
        assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
        assert "CapEff:\t0000000000000000\n" in status
        assert "NoNewPrivs:\t1\n" in status
        until(lambda: place.run("carebus", "status", "--data", "/var/lib/carebus")[0] == 0)

        with socket.create_connection(("127.0.0.1", place.port), timeout=10) as sender:
            sender.sendall(ADT)
            assert b"MSA|AA|IMAGE1" in sender.recv(65536)
        until(lambda: list((place.data / "archive").glob("*.msg")))
    finally:
        began = time.monotonic()
        engine.send_signal(place.image.stop)
        code = engine.wait(WITHIN_SECONDS)
    assert code == 0, log.read_text()
    assert time.monotonic() - began < 45, "compose and Kubernetes kill it then"
    assert not place.healthy()
    written = {
        each.name.split("-")[0].split(".")[0] for each in place.data.iterdir() if each.is_file()
    }
    assert written == {"carebus", "control"}
