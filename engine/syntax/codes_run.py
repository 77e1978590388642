"""Rxxx: what can go wrong when a mapping meets a message.  Never shows a value."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_E = Severity.ERROR

ROWS: tuple[Code, ...] = (
    Code(
        "R101",
        _E,
        "a required value is missing",
        "The mapping demands this value with '!'. The message does not have it, or has HL7's "
        'explicit null "" there.',
    ),
    Code(
        "R102",
        _E,
        "the mapping stopped on purpose",
        "A $raise or fail() was reached; its text says why.",
    ),
    Code(
        "R103",
        _E,
        "the mapping gives nothing",
        "Everything under out: was missing for this message, so there is nothing to send. Filter "
        "such messages in the route's when:.",
    ),
    Code(
        "R201",
        _E,
        "a code that is not in the table",
        "The table says unmapped: error. Add a row, or say what an unmapped code means. The code "
        "itself is in the message, not in this error.",
    ),
    Code(
        "R301",
        _E,
        "a function failed",
        "The function could not use what it was given; carebus describe FUNCTION says what it "
        "takes.",
    ),
    Code(
        "R302",
        _E,
        "arithmetic with something that is no number",
        "Text counts as a number only when it spells one; filter with number_or_none.",
    ),
    Code("R303", _E, "arithmetic without a result", "A division by zero, or a number too large."),
    Code(
        "R304",
        _E,
        "not a value",
        "A segment, an object or a list stands where a single value is wanted.",
    ),
    Code(
        "R305",
        _E,
        "too many steps",
        "This mapping would walk more than two million items for one message: loops within loops "
        "over a very large message.",
    ),
    Code(
        "R306",
        _E,
        "not an object",
        "$case, $use or $first stands beside other keys, so it must give an object to merge; so "
        "must each part of $merge.",
    ),
    Code(
        "R307",
        _E,
        "not a resource",
        "refer() and $refer name a map whose output is a FHIR resource with its resourceType.",
    ),
    Code(
        "R402",
        _E,
        "a document of another format",
        "The mapping's from: {format: …} is not the format of the channel.",
    ),
    Code(
        "R403",
        _E,
        "a parameter that the route does not give",
        "Every name under params: is required: add it to the route's target.",
    ),
    Code(
        "R404",
        _E,
        "a table that does not have the layout of the mapping",
        "from: {format: delimited, …} says the separator, the quote, the header and the columns.",
    ),
    Code(
        "R405",
        _E,
        "a document that breaks the schema of the mapping",
        "from: {schema: FILE} names an XSD that every document must keep to. The message names "
        "the first place that does not.",
    ),
    Code(
        "R406",
        _E,
        "an output that breaks the schema of the mapping",
        "to: {schema: FILE} names an XSD that what is sent must keep to. Mend the mapping, or give "
        "what is missing a value.",
    ),
    Code(
        "R410",
        _E,
        "no mapping takes this document",
        "carebus convert chooses by the document's own type: MSH-9, the MessageHeader's event or "
        "the resource, the root element. No mapping of the folder names this one.",
    ),
    Code(
        "R411",
        _E,
        "more than one mapping takes this document",
        "Nothing tells them apart, so none is guessed.",
    ),
    Code(
        "R412",
        _E,
        "the chosen mapping has errors",
        "It does not compile; carebus lint shows all that is wrong with it.",
    ),
)
