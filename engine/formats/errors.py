"""Every way in which a payload can be unreadable or unwritable, as a bounded list of codes.

`CODES` feeds ``carebus describe``.  A `FormatError` is made from it and never holds a piece of
the payload: a code, what is wrong in general, and where by position, never by value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.contract import ErrorCode, ErrorInfo, FormatError, Stage

_ROWS: Final = (
    ErrorCode(
        "HL7-HEADER",
        "the payload does not begin with an MSH segment",
        "send HL7 v2, or choose the channel's format: raw takes anything",
    ),
    ErrorCode(
        "HL7-SEPARATOR",
        "the character after MSH cannot be a field separator",
        "MSH-1 must be a punctuation mark, usually |",
    ),
    ErrorCode(
        "HL7-SEVERAL",
        "the payload holds more than one MSH segment",
        "send one message at a time, or split the batch before it is parsed",
    ),
    ErrorCode(
        "HL7-BATCH",
        "the payload is a batch (FHS or BHS), not a message",
        "split the batch before it is parsed",
    ),
    ErrorCode(
        "CHARSET-DECODE",
        "the payload's bytes do not fit the character set it declares",
        "let the sender declare what it sends (MSH-18); where it declares nothing, set the "
        "channel's charset",
    ),
    ErrorCode(
        "CHARSET-UNKNOWN",
        "this character set is not one that can be read or written",
        "use a value of HL7 table 0211, such as UNICODE UTF-8, or an IANA name",
    ),
    ErrorCode(
        "CHARSET-ENCODE",
        "a character of the output does not exist in the channel's character set",
        "set the outbound channel's charset to utf-8 or gb18030 if the receiver reads it",
    ),
    ErrorCode(
        "HL7-PATH",
        "the path does not name an HL7 v2 element",
        "write SEG-field, SEG-field.component or SEG[n]-field[n].component.subcomponent",
    ),
    ErrorCode(
        "HL7-TREE",
        "the tree does not have the shape of an HL7 v2 message",
        "segments hold field numbers, fields hold texts, component numbers or repetitions",
    ),
    ErrorCode(
        "HL7-ACK",
        "the answer is not an HL7 acknowledgement",
        "the peer must answer with an MSA segment whose MSA-1 is AA, AE, AR, CA, CE or CR",
    ),
    ErrorCode(
        "JSON-SYNTAX",
        "the payload is not JSON",
        "look at the stored payload at the place named",
    ),
    ErrorCode(
        "JSON-DUPLICATE",
        "an object names the same key twice",
        "the sender must write each key once: which of the two is meant cannot be known",
    ),
    ErrorCode("JSON-DEPTH", "the document is nested too deeply", "at most 250 levels are read"),
    ErrorCode(
        "JSON-TREE",
        "the tree holds something that JSON cannot say",
        "values are objects with text keys, lists, texts, numbers, true, false and null",
    ),
    ErrorCode(
        "FHIR-RESOURCE",
        "the document is not a FHIR resource",
        "a resource is an object with a resourceType",
    ),
    ErrorCode(
        "FORMAT-UNKNOWN",
        "the payload is neither HL7 v2 nor JSON nor XML",
        "look at its first bytes: MSH, FHS or BHS, a brace, or an XML tag",
    ),
    ErrorCode(
        "XML-SYNTAX",
        "the payload is not well-formed XML",
        "look at the stored payload at the place named; each prefix must be declared",
    ),
    ErrorCode(
        "XML-DOCTYPE",
        "the document has a DOCTYPE, which is refused: it can name files and entities",
        "the sender must leave the DOCTYPE out; HL7, SOAP and FHIR have none",
    ),
    ErrorCode("XML-DEPTH", "the document is nested too deeply", "at most 256 levels are read"),
    ErrorCode(
        "XML-TREE",
        "the tree does not have the shape of an XML document",
        "one root key; keys are element names, '@a' attributes, '#text' text, lists repeat",
    ),
    ErrorCode(
        "ASTM-HEADER",
        "the payload does not begin with an H record and its four separators",
        "the first record is H|\\^&|…; each message is a payload of its own",
    ),
    ErrorCode(
        "ASTM-TREE",
        "the tree does not have the shape of an ASTM message",
        "records are capital letters, H first; they hold field numbers from 2",
    ),
    ErrorCode(
        "DELIMITED-SYNTAX",
        "the text is not a table of this layout",
        "see the line named; from: says the separator, the quote and the columns",
    ),
    ErrorCode(
        "DELIMITED-TREE",
        "the tree does not have the shape of a table",
        "rows: a list of objects, their keys the columns",
    ),
    ErrorCode(
        "DELIMITED-WIDTH",
        "a text is wider than its column",
        "cut it in the mapping, or make the column wider: nothing is cut silently",
    ),
    ErrorCode("RAW-TREE", "a raw payload is written from bytes only", "remove the mapping"),
)

CODES: Final[Mapping[str, ErrorCode]] = {row.code: row for row in _ROWS}


def format_error(
    code: str, summary: str | None = None, *, stage: Stage = Stage.RECEIVING
) -> FormatError:
    """The error of this code; ``summary`` says more than the table, still without any value."""
    row = CODES[code]
    return FormatError(ErrorInfo(code, summary or row.meaning, stage, help=row.help))
