"""What a channel of the file connector may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.file.naming import check_template
from engine.units import Duration, Size

_MODEL = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _one_name(value: str) -> str:
    if "/" in value or "\\" in value or "\0" in value or value in ("", ".", ".."):
        raise ValueError("this is one name, without a path")
    return value


def _template(value: str) -> str:
    check_template(value)
    return value


def _octal(value: str) -> str:
    if len(value) not in (3, 4) or any(digit not in "01234567" for digit in value):
        raise ValueError("rights are three or four octal digits: 0640")
    return value


OneName = Annotated[str, AfterValidator(_one_name)]


class SourceSettings(BaseModel):
    """One folder that is looked through again and again."""

    model_config = _MODEL

    directory: str = Field(
        min_length=1, description="Folder to read; it has to exist.", examples=["/srv/lis/out"]
    )
    pattern: OneName = Field(
        "*", description="Names to take, with * ? [abc] as in a shell.", examples=["*.hl7"]
    )
    poll: Duration = Field(timedelta(seconds=1), description="Wait between two looks.")
    order: Literal["name", "time"] = Field(
        "name", description="Order among the files that are ready: by name, or oldest first."
    )
    ready: Literal["stable", "rename", "marker"] = Field(
        "stable",
        description="When a file is whole. stable: its size and time have not changed for "
        "stable_for. rename: as soon as it has its name, since the writer renames it last. "
        "marker: when a second file with marker appended to the name is there.",
    )
    stable_for: Duration = Field(
        timedelta(seconds=2), description="How long a file must not have changed (ready: stable)."
    )
    marker: OneName = Field(
        ".done", description="What the marker's name has after the file's (ready: marker)."
    )
    processed: OneName = Field(
        "processed", description="Sub-folder for files that were taken; made when missing."
    )
    error: OneName = Field(
        "error", description="Sub-folder for files that were refused; made when missing."
    )
    delete: bool = Field(False, description="Delete files that were taken instead of keeping them.")
    split: Literal["none", "hl7v2_batch"] = Field(
        "none", description="hl7v2_batch: each message of an HL7 batch file is a message."
    )
    batch_limit: Size = Field(
        256 * 1024 * 1024, ge=1, description="Largest batch file (split: hl7v2_batch)."
    )
    content_type: str = Field(
        "application/octet-stream",
        pattern=r"^[!-~]+$",
        description="What the files are; formats look at the content, so it is seldom needed.",
    )


class DestinationSettings(BaseModel):
    """One folder that files are put into."""

    model_config = _MODEL

    directory: str = Field(
        min_length=1, description="Folder to write to; it has to exist.", examples=["/srv/pacs/in"]
    )
    name: Annotated[str, AfterValidator(_template)] = Field(
        "{message_id}.msg",
        description="Name of each file, from {message_id}, {channel} (where the message came "
        "from), {received:%Y%m%d%H%M%S} and {content} (a digest of the content). Nothing of the "
        "content itself can be in a name.",
        examples=["{received:%Y%m%d%H%M%S}-{message_id}.hl7"],
    )
    rights: Annotated[str, AfterValidator(_octal)] = Field(
        "0640", description="Rights of the files, as octal digits."
    )
    marker: OneName | None = Field(
        None,
        description="Also make an empty file whose name is the file's with this appended, after "
        "the file is complete.",
        examples=[".done"],
    )
