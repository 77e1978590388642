"""File names from templates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from connectors.file.naming import file_name
from connectors.file.settings import DestinationSettings, SourceSettings
from engine.contract import ChannelName, Message, MessageId, Outbound, Payload


def outbound(body: bytes = b"body") -> Outbound:
    id = MessageId("0198-7")
    at = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    return Outbound(Message(id, ChannelName("his-adt"), Payload(b"in"), at), Payload(body))


def test_all_fields() -> None:
    name = file_name("{channel}_{received:%Y%m%d-%H%M%S}_{message_id}.hl7", outbound())
    assert name == "his-adt_20260301-123005_0198-7.hl7"


def test_content_is_a_digest() -> None:
    first = file_name("{content}.x", outbound(b"one"))
    assert first == file_name("{content}.x", outbound(b"one"))
    assert first != file_name("{content}.x", outbound(b"two"))


@pytest.mark.parametrize(
    "template",
    [
        "",
        "fixed.hl7",
        "{channel}.hl7",
        "{received:%Y}.hl7",
        "../{message_id}",
        "a/{message_id}",
        "{message_id} x",
        ".{message_id}",
        "{message_id!r}",
        "{message_id:>80}",
        "{message_id.channel}",
        "{payload}",
        "{}",
        "{message_id",
        "{message_id}{received}",
        "{message_id}{received:%c}",
        "{message_id}{received:%Y/%m}",
    ],
)
def test_refused_templates(template: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings.model_validate({"directory": "/x", "name": template})


@pytest.mark.parametrize("rights", ["", "640x", "888", "00640", "rw-"])
def test_refused_rights(rights: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings.model_validate({"directory": "/x", "rights": rights})


@pytest.mark.parametrize("key", ["pattern", "processed", "error", "marker"])
@pytest.mark.parametrize("value", ["..", "a/b", "/abs", "a\\b", "", "."])
def test_no_way_out_of_the_folder(key: str, value: str) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate({"directory": "/x", key: value})
