"""The link's own words: addresses, parts, digests, what settings allow, what the spool keeps."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.carebus import wire
from connectors.carebus.settings import LinkDestinationSettings, LinkSourceSettings
from connectors.carebus.spool import Full, Spool
from connectors.carebus.wire import Part
from connectors.weblistener.listener import certificate_names

TLS = {"certificate": "a.pem", "key": "a.key", "ca": "ca.pem"}
ASKING = {**TLS, "require_client_certificate": True}
WEEK = timedelta(days=7)


def test_an_address_is_read_as_it_was_made() -> None:
    key = wire.delivery_key("00000000-0000-7000-8000-000000000001", "all/region")
    assert wire.read_address(wire.address("hospital-a", key)) == ("hospital-a", key)
    assert wire.read_address(wire.address("hospital-a")) == ("hospital-a", "")


@pytest.mark.parametrize(
    "path",
    ["", "/", "/link", "/link/", "/link/A", "/link/a/", "/link/a/b", "/link/a/../b", "/link/a\n"],
)
def test_nothing_else_is_an_address(path: str) -> None:
    assert wire.read_address(path) is None


@pytest.mark.parametrize("part", [Part(0, 1, 9), Part(3, 9, 9), Part(9, 9, 9)])
def test_a_part_is_read_as_it_was_made(part: Part) -> None:
    assert wire.read_part(part.header(), part.end - part.start) == part


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("bytes 0-4/9", 4),
        ("bytes 5-4/9", 0),
        ("bytes 0-9/9", 10),
        ("bytes */9", 1),
        ("bytes -4/9", 5),
        ("bytes 0-4/*", 5),
        ("bytes 0-4/9, 5-8/9", 5),
        ("bytes 0-" + "9" * 400 + "/9", 5),
    ],
)
def test_a_part_that_does_not_fit_is_none(header: str, length: int) -> None:
    assert wire.read_part(header, length) is None


def test_a_digest_is_read_as_it_was_made() -> None:
    digest = wire.read_digest(wire.digest_header(b"abc"))
    assert digest is not None
    assert digest.hex().startswith("ba7816bf")  # FIPS 180-4's own example
    assert wire.read_digest("sha-256=:YWJj:") is None


def test_compression_is_the_same_every_time_and_comes_back() -> None:
    body = b"OBX|1|NM|" * 1000
    small = wire.compressed(body)
    assert small is not None
    assert small == wire.compressed(body)
    assert wire.expanded(small, len(body)) == body
    assert wire.expanded(small, len(body) - 1) is None
    assert wire.compressed(os.urandom(4096)) is None
    for broken in (small[:-1], small + b"more", b"no gzip"):
        with pytest.raises(ValueError, match="gzip"):
            wire.expanded(broken, len(body))


def test_a_trace_holds_ids_only() -> None:
    assert wire.read_trace(wire.trace_header(["a-1", "b\r\nX: y", "c-3"])) == ("a-1", "c-3")
    assert wire.read_trace("") == ()
    assert wire.read_trace("a,b c") is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"host": "0.0.0.0"}, "needs tls"),
        ({"host": "0.0.0.0", "tls": ASKING}, "under peers"),
        ({"tls": TLS, "peers": ["a"]}, "require_client_certificate"),
        ({"peers": ["a"]}, "without tls"),
        ({"tls": ASKING, "peers": ["*.example"]}, "pattern"),
    ],
)
def test_an_open_door_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        LinkSourceSettings.model_validate({"port": 8610, **given})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": "http://region.example:8610"}, "https only"),
        ({"url": "https://region.example:8610"}, "needs tls"),
        ({"url": "https://region.example/x", "tls": TLS}, "no path"),
        ({"url": "https://region.example", "tls": {"ca": "ca.pem"}}, "certificate"),
        ({"url": "http://127.0.0.1:8610", "tls": TLS}, "https://"),
    ],
)
def test_a_link_in_the_clear_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        LinkDestinationSettings.model_validate({"channel": "here", **given})


def test_names_of_peers_know_no_case() -> None:
    settings = LinkSourceSettings.model_validate({"port": 1, "tls": ASKING, "peers": ["Eng.A"]})
    shown = {
        "subject": ((("commonName", "ENG.a"),), (("organizationName", "Eng.B"),)),
        "subjectAltName": (("DNS", "other.A"), ("IP Address", "10.0.0.1")),
    }
    assert certificate_names(shown) == ("other.a", "eng.a")
    assert set(certificate_names(shown)) & set(settings.peers)
    assert certificate_names(None) == ()


def test_the_spool_takes_what_follows_and_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", limit=10, keep=WEEK)
    assert spool.size("a") == 0
    assert spool.append("a", 1, b"later") == 0
    assert spool.append("a", 0, b"abc") == 3
    assert spool.append("a", 0, b"abc") == 3
    assert spool.append("a", 3, b"de") == 5
    assert Spool(tmp_path / "spool", limit=10, keep=WEEK).content("a") == b"abcde"
    assert spool.append("b", 0, b"12345") == 5
    with pytest.raises(Full):
        spool.append("a", 5, b"x")
    spool.drop("b")
    spool.drop("b")
    assert spool.append("a", 5, b"x") == 6
    assert (tmp_path / "spool" / "a").stat().st_mode & 0o077 == 0


def test_the_spool_forgets_what_nobody_goes_on_with(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=100, keep=WEEK)
    for name in ("old", "young"):
        spool.append(name, 0, b"abc")
    os.utime(tmp_path / "old", (0, 0))
    spool.append("new", 0, b"abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "young"]
