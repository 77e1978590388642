"""Settings of everything that sends over HTTP: what is refused, and what is never shown."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.webclient.settings import Auth, ClientSettings

SECRET = "Qwertysecret"


def settings(**more: Any) -> ClientSettings:
    return ClientSettings.model_validate({"url": "https://peer.example/in", **more})


@pytest.mark.parametrize(
    "url",
    [
        "peer.example/in",
        "ftp://peer.example/in",
        "https:///in",
        "https://user:word@peer.example/in",
        "https://peer.example:99999/in",
        "https://peer.example/in#part",
        "https://peer.example/a b",
        "https://peer.example/in\r\nX: y",
        "https://peer.example/患者",
    ],
)
def test_an_address_is_whole_and_holds_no_secret(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(url=url)


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"X Y": "z"}},
        {"headers": {"X": "a\r\nInjected: b"}},
        {"secret_headers": {"X": "a\nb"}},
        {"headers": {"Content-Length": "3"}},
        {"headers": {"transfer-encoding": "chunked"}},
        {"auth": {}},
        {"auth": {"bearer": "a", "basic": {"user": "u", "password": "p"}}},
        {"auth": {"bearer": "a\r\nb"}},
        {"auth": {"basic": {"user": "a:b", "password": "p"}}},
        {"auth": {"api_key": {"header": "X Y", "value": "v"}}},
        {"timeout": "0s"},
        {"timeout": "10"},
        {"max_in_flight": 0},
        {"max_in_flight": 65},
        {"tls": "hospital", "url": "http://peer.example/in"},
        {"unknown": 1},
    ],
)
def test_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**more)


def test_no_secret_is_shown() -> None:
    shown = settings(
        url=f"https://peer.example/in?key={SECRET}",
        auth={"basic": {"user": "u", "password": SECRET}},
        secret_headers={"X-Key": SECRET},
        headers={"X-Plain": SECRET},
        tls={"key_password": SECRET},
    )
    assert SECRET not in repr(shown)
    assert SECRET not in str(shown)


def test_a_literal_secret_is_not_repeated_in_the_complaint() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(auth={"bearer": f"{SECRET}\r\n"})
    assert SECRET not in str(caught.value)


def test_basic_is_utf_8() -> None:
    name, value = Auth.model_validate({"basic": {"user": "médecin", "password": "密码"}}).header()
    assert name == "Authorization"
    scheme, _, pair = value.partition(" ")
    assert (scheme, b64decode(pair).decode("utf-8")) == ("Basic", "médecin:密码")
