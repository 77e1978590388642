"""The Dockerfile: its instructions, what they copy, and hadolint's opinion."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
HEALTHCHECK = ROOT / "docker" / "healthcheck.py"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    with DOCKERFILE.open("rb") as file:
        parsed: list[dict[str, Any]] = DockerfileParser(fileobj=file).structure
    return [(each["instruction"], each["value"]) for each in parsed]


@pytest.fixture(scope="module")
def final(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(at for at, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last:]


def only(name: str, stage: list[tuple[str, str]]) -> str:
    [value] = [text for each, text in stage if each == name]
    return value


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKERFILE], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_runs_as_nobody_in_particular(final: list[tuple[str, str]]) -> None:
    user = only("USER", final)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), (
        "by number, so that Kubernetes can see it"
    )
    assert final.index(("USER", user)) > max(
        at for at, (name, _) in enumerate(final) if name in ("RUN", "COPY")
    ), "what is in the image is root's"


def test_it_is_started_stopped_and_looked_after(final: list[tuple[str, str]]) -> None:
    assert json.loads(only("ENTRYPOINT", final)) == ["carebus"]
    assert json.loads(only("CMD", final))[0] == "run"
    assert only("STOPSIGNAL", final) == "SIGTERM"
    options, _, command = only("HEALTHCHECK", final).partition("CMD ")
    assert "--timeout=" in options
    assert json.loads(command) == ["python", "/opt/carebus/healthcheck.py"]
    data = json.loads(only("CMD", final))[-1]
    assert json.loads(only("VOLUME", final)) == [data]


def test_nothing_comes_from_a_place_that_nobody_pinned(
    instructions: list[tuple[str, str]],
) -> None:
    names = [name for name, _ in instructions]
    assert "ADD" not in names
    images = [value.split()[0] for name, value in instructions if name == "FROM"]
    assert images == ["${PYTHON_IMAGE}"] * 2
    assert ("ARG", "PYTHON_IMAGE=python:3.11-slim-bookworm") in instructions
    assert "://" not in DOCKERFILE.read_text("utf-8")


def test_the_last_stage_compiles_nothing_but_python(final: list[tuple[str, str]]) -> None:
    for name, value in final:
        if name == "RUN":
            assert not re.search(r"\b(pip|apt-get|curl|wget|gcc)\b", value)


def test_what_is_copied_is_there_and_not_ignored(instructions: list[tuple[str, str]]) -> None:
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for name, value in instructions
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    }
    assert copied == let_in
    for source in copied:
        assert (ROOT / source).exists(), source
    assert ignored[1] == "*"
    packages = (ROOT / "pyproject.toml").read_text("utf-8")
    for package in ("engine", "connectors", "mappings"):
        assert f'"{package}*"' in packages


class _Engine(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        assert self.path == "/live"
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def healthcheck(data: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, HEALTHCHECK, data], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_health_check_asks_where_the_engine_said_it_listens(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert healthcheck(tmp_path)[0] == 1, "no engine was started here"
    (tmp_path / "control-url").write_text(f"{address}\n")
    assert healthcheck(tmp_path) == (0, "/live: 200\n")
    monkeypatch.setattr(_Engine, "status", 500)
    assert healthcheck(tmp_path) == (1, "/live: 500\n")
    (tmp_path / "control-url").write_text("http://127.0.0.1:1\n")
    code, said = healthcheck(tmp_path)
    assert code == 1
    assert said.startswith("the engine does not answer: ")
