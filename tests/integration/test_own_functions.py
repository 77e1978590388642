"""A hospital's own functions: a wheel that pip installs, and the commands that see it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = '''\
from engine.mapping.functions.signature import function


@function(examples=[("shout('abc')", "ABC!")])
def shout(text: str) -> str:
    """The text in capitals, with an exclamation mark."""
    return text.upper() + "!"
'''
INFO = "north_functions-1.0.dist-info"
WHEEL = {
    "north_functions.py": MODULE,
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: north-functions\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[carebus.functions]\nnorth = north_functions\n",
}
MAPPING = """\
mapping: loud
from: {format: hl7v2}
to: {format: json}
out: {name: = PID-5.1 | shout}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has put the distribution."""
    folder = tmp_path_factory.mktemp("own")
    wheel = folder / "north_functions-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
        record = "".join(f"{name},,\n" for name in (*WHEEL, f"{INFO}/RECORD"))
        archive.writestr(f"{INFO}/RECORD", record)
    target = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", target, wheel],
        check=True,
    )  # fmt: skip
    return target


def carebus(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_function_is_described(installed: Path, tmp_path: Path) -> None:
    result = carebus(installed, tmp_path, "describe", "shout")
    assert result.returncode == 0, result.stderr
    assert "The text in capitals, with an exclamation mark." in result.stdout
    assert "shout('abc')" in result.stdout


def test_an_installed_function_maps(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "loud.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "routes.yaml").write_text("routes: []\n", encoding="utf-8")
    (tmp_path / "adt.hl7").write_text(
        "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5.1\rPID|1||77||Jones^W\r", encoding="utf-8"
    )
    mapped = carebus(installed, tmp_path, "map", "loud", "adt.hl7", "--raw")
    assert mapped.stdout == '{"name":"JONES!"}', mapped.stderr
    without = carebus(tmp_path / "none", tmp_path, "map", "loud", "adt.hl7")
    assert without.returncode == 1
    assert "M302" in without.stderr
