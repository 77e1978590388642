"""M6xx to M9xx: what a mapping is checked for beyond its language: use, the dictionary, FHIR."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_E = Severity.ERROR
_I = Severity.INFO
_W = Severity.WARNING

ROWS: tuple[Code, ...] = (
    Code("M601", _W, "a variable that is never used", "Use it or remove it."),
    Code("M602", _W, "a map that is never used", "Use it or remove it, or move it to lib/."),
    Code("M603", _W, "a table that is never used", "Use it or remove it, or move it to lib/."),
    Code("M604", _W, "a parameter that is never used", "Every route must give it for nothing."),
    Code(
        "M605",
        _W,
        "a $for over a single value",
        "A path without [*] gives its first match only, so the loop runs once at most.",
    ),
    Code("M606", _W, "an import that is never used", "No map and no table of it is used here."),
    Code(
        "M607",
        _W,
        "a rule that is never reached",
        "What stands before it always gives something, or always stops the mapping.",
    ),
    Code(
        "M701",
        _E,
        "a regular expression that is refused",
        "Patterns are literal, and may not hold what can run for hours: a repeated group that "
        "itself repeats or has alternatives, and back-references.",
    ),
    Code(
        "M710",
        _E,
        "an element that the FHIR type does not have",
        "The names are those of FHIR's definitions for the version in to: {version: …}. A choice "
        "such as value[x] is written with its type: valueQuantity.",
    ),
    Code(
        "M711",
        _E,
        "a list where FHIR has one value, or one where it has a list",
        "Entries of a list are written with '- ', even a single one. Of a choice such as "
        "value[x], one key may stand.",
    ),
    Code(
        "M712",
        _E,
        "the wrong kind of value for a FHIR element",
        "Datatypes such as CodeableConcept are objects; code, date, string … are plain values; "
        "numbers and booleans are not text.",
    ),
    Code(
        "M713",
        _E,
        "a literal that the FHIR type does not allow",
        "Dates are 2026-01-31, times of day have seconds, instants a zone; true and false are "
        "written without quotes, numbers as = 5.",
    ),
    Code(
        "M714",
        _E,
        "a code that is not in the required set",
        "FHIR binds this element to a fixed set of codes. Of a table, every row and the value for "
        "unmapped codes must be in it.",
    ),
    Code(
        "M715",
        _E,
        "a required FHIR element that nothing gives",
        "No line of the mapping could ever write it, so every output would be invalid.",
    ),
    Code(
        "M716",
        _E,
        "a reference to a resource of the wrong type",
        "FHIR's definitions list what this element may refer to.",
    ),
    Code("M717", _E, "an unknown FHIR resource", "Names are those of FHIR, such as Patient."),
    Code(
        "M718",
        _E,
        "a map or mapping that gives another FHIR type than is wanted",
        "type: of a map names a FHIR type, such as HumanName; a map with a resourceType gives that "
        "resource.",
    ),
    Code(
        "M720",
        _E,
        "a field that HL7 does not have",
        "No version from 2.1 to 2.8.2 has this field or component. Z segments, and fields whose "
        "type another field says, are free.",
    ),
    Code(
        "M721",
        _W,
        "a field of another version",
        "from: {version: …} says which version the messages have, and that version does not have "
        "this field.",
    ),
    Code(
        "M722",
        _I,
        "only the first repetition is read",
        "The field may repeat. A path without a selector reads its first repetition; [1] says that "
        "this is meant, [*] reads all. Shown by carebus lint --notes.",
    ),
    Code(
        "M723",
        _W,
        "any identifier is read",
        "Which of several identifiers comes first differs from sender to sender. Choose by type or "
        "authority: PID-3[.5 == 'MR']; or write [1]. Identifiers are fields of the datatypes CX, "
        "EI and EIP, and the id numbers of XCN and XON.",
    ),
    Code(
        "M724",
        _W,
        "a segment that the message does not have",
        "to: {message: …} says which message is written. A receiver that looks for the message's "
        "structure does not find this segment; Z segments may stand anywhere.",
    ),
    Code(
        "M725",
        _W,
        "a segment out of its order",
        "Keys are written in the order of the file: put them into that of the message.",
    ),
    Code(
        "M726",
        _W,
        "a field that the version does not have",
        "to: {version: …} says which version is written; without it, no version has this field.",
    ),
    Code("M727", _W, "a field that does not repeat", "Only one value may stand here."),
    Code(
        "M728",
        _W,
        "a required field that is not written",
        "HL7 requires this field, in all versions or in that of to:.",
    ),
    Code(
        "M729",
        _W,
        "a group that the message does not have",
        "Groups are named as in HL7 2.5.1 to 2.8, without the message's prefix; see Groups of the "
        "message in docs/mapping.md. A channel may have structures of its own.",
    ),
    Code(
        "M901",
        _E,
        "a test file that cannot be run",
        "A test file names its mapping and lists cases, each with a name, an input, and what is "
        "expected: expect, contains, absent or error.",
    ),
)
