"""The settings of the process: defaults, .env, and errors that do not repeat a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import ConfigError
from engine.settings import Listen, read_environment, read_settings
from engine.syntax.codes_process import ROWS

SECRET = "s3cr3t-Pa55"


def test_the_defaults_need_nothing_installed(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, tmp_path / "var", {})
    assert settings.broker_url == "embedded:"
    assert settings.store_url == f"sqlite:///{tmp_path}/var/carebus.db"
    assert str(settings.api_listen) == "127.0.0.1:8600"
    assert str(settings.dashboard_listen) == "127.0.0.1:8601"
    assert settings.log == "auto"
    assert not (tmp_path / "var").exists()


def test_given_values_win_and_empty_ones_do_not(tmp_path: Path) -> None:
    settings = read_settings(
        tmp_path,
        tmp_path,
        {
            "CAREBUS_STORE_URL": "sqlite:////srv/carebus.db",
            "CAREBUS_API_LISTEN": "[::1]:0",
            "CAREBUS_DASHBOARD_LISTEN": "off",
            "CAREBUS_LOG": "json",
            "CAREBUS_BROKER_URL": "",
            "PATH": "/bin",
        },
    )
    assert settings.store_url == "sqlite:////srv/carebus.db"
    assert settings.api_listen == Listen("::1", 0)
    assert str(settings.api_listen) == "[::1]:0"
    assert settings.dashboard_listen is None
    assert settings.log == "json"
    assert settings.broker_url == "embedded:"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("CAREBUS_BROKER_URL", "redis://localhost", "P001"),
        ("CAREBUS_BROKER_URL", f"amqp:engine:{SECRET}@rabbit", "P001"),
        ("CAREBUS_STORE_URL", "carebus.db", "P001"),
        ("CAREBUS_STORE_URL", f"mysql://engine:{SECRET}@db/carebus", "P001"),
        ("CAREBUS_API_LISTEN", "8600", "P001"),
        ("CAREBUS_API_LISTEN", "127.0.0.1:99999", "P001"),
        ("CAREBUS_API_LISTEN", "http://127.0.0.1:8600", "P001"),
        ("CAREBUS_DASHBOARD_LISTEN", "on", "P001"),
        ("CAREBUS_LOG", "xml", "P001"),
        ("CAREBUS_CONTENT_KEY", SECRET, "P004"),
        ("CAREBUS_STORE_ULR", "sqlite:///x", "P002"),
    ],
)
def test_a_wrong_value_is_told_and_not_repeated(
    tmp_path: Path, name: str, value: str, code: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path, tmp_path, {name: value})
    info = refused.value.info
    assert (info.code, info.location) == (code, name)
    assert info.help
    assert SECRET not in f"{refused.value} {info}"
    assert code in {row.code for row in ROWS}


def test_a_near_name_is_offered(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path, tmp_path, {"CAREBUS_STORE_ULR": "x"})
    assert refused.value.info.help == "did you mean CAREBUS_STORE_URL?"


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False)],
)
def test_a_loopback_address_is_known(tmp_path: Path, listen: str, loopback: bool) -> None:
    settings = read_settings(tmp_path, tmp_path, {"CAREBUS_API_LISTEN": listen})
    assert settings.api_listen.loopback is loopback


def test_env_file_lines_are_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# secrets of the test system\n\n"
        "LIS_PASSWORD='a b # c'\n"
        "export CAREBUS_LOG = json\n"
        'EMPTY=\nEMR_TOKEN="x=y"\nBOTH=file\n',
        encoding="utf-8",
    )
    assert read_environment(tmp_path, {"BOTH": "environ"}) == {
        "LIS_PASSWORD": "a b # c",
        "CAREBUS_LOG": "json",
        "EMPTY": "",
        "EMR_TOKEN": "x=y",
        "BOTH": "environ",
    }


def test_without_an_env_file_the_environment_is_all(tmp_path: Path) -> None:
    assert read_environment(tmp_path, {"A": "1"}) == {"A": "1"}


@pytest.mark.parametrize("line", [f"{SECRET}", f"1A={SECRET}", f"A='{SECRET}"])
def test_a_wrong_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        read_environment(tmp_path, {})
    assert refused.value.info.location == f"{tmp_path / '.env'}:2"
    assert SECRET not in str(refused.value.info)


def test_an_env_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigError, match="P003"):
        read_environment(tmp_path, {})
