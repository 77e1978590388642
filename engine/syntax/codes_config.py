"""Cxxx: what can be wrong in channels, routes and TLS profiles, each alone and together."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_E, _W = Severity.ERROR, Severity.WARNING

ROWS: tuple[Code, ...] = (
    # --- files
    Code("C001", _E, "a file cannot be read", "Look at the file's permissions and at its disk."),
    Code(
        "C002",
        _E,
        "the directory holds no project",
        "A project is a directory with routes.yaml, channels/ and mappings/. Start carebus there, "
        "or name it with --config.",
    ),
    Code(
        "C003",
        _E,
        "a file name that is no name",
        "The file's name is the channel's or mapping's name: lower-case letters, digits, '-' and "
        "'_', beginning with a letter, ending in .yaml.",
    ),
    # --- keys and values
    Code(
        "C101",
        _E,
        "an unknown key",
        "A key that nobody reads is a setting that has no effect, so it is refused. "
        "'carebus schema' gives editors the list of keys; 'carebus describe CONNECTOR' explains "
        "those under settings:.",
    ),
    Code("C102", _E, "a key is missing", "This key has no default: it must be written."),
    Code(
        "C103",
        _E,
        "a value that is not accepted",
        "The value is outside what the key takes. Durations carry a unit (5s, 10m), sizes too "
        "(16MiB), rates are a number per time (500/s).",
    ),
    Code(
        "C104",
        _E,
        "nothing stands after a key",
        "Leave the key out to get its default; write '' where an empty text is meant.",
    ),
    Code(
        "C105",
        _E,
        "a key of the other direction",
        "Inbound channels acknowledge, find duplicates, index, limit and say how long messages are "
        "kept; outbound channels order, retry and decide about uncertain outcomes.",
    ),
    # --- references
    Code(
        "C110",
        _E,
        "an unknown reference",
        "${env:NAME} is an environment variable, ${file:/path} the content of a file. Write $${ "
        "for the two characters ${ themselves.",
    ),
    Code(
        "C111",
        _E,
        "an environment variable is not set",
        "Set it for the process that runs carebus, or in .env beside routes.yaml.",
    ),
    Code(
        "C112",
        _E,
        "a secret's file cannot be read",
        "${file:PATH} must name a UTF-8 text of at most 64 KiB that this process may read; "
        "relative paths begin at the project's directory.",
    ),
    Code(
        "C113",
        _E,
        "a reference in a key",
        "References are filled in for values only: a key must say what it says.",
    ),
    Code(
        "C114",
        _E,
        "a secret is written out",
        "The project is kept in git, and what was in git is known for ever. Write ${env:NAME} or "
        "${file:/run/secrets/NAME}, and change this secret.",
        conceals=True,
    ),
    # --- channels
    Code(
        "C120",
        _E,
        "an unknown connector",
        "No installed package offers this connector. 'carebus describe' lists those there are.",
    ),
    Code(
        "C121",
        _E,
        "the connector does not go this way",
        "Some connectors only receive and some only send.",
    ),
    Code(
        "C122",
        _E,
        "an unknown format",
        "format: says how the payload is read; raw passes bytes on without reading them.",
    ),
    Code("C123", _E, "an unknown charset", "Use a name such as utf-8, gb18030 or iso-8859-1."),
    Code("C124", _E, "an unknown time zone", "Use an IANA name such as Asia/Shanghai."),
    Code(
        "C125",
        _E,
        "an unknown TLS profile",
        "tls: names a profile of tls.yaml, or holds the same keys itself.",
    ),
    Code(
        "C126",
        _W,
        "a connector package cannot be used",
        "The package registered a connector that cannot be imported or that breaks the contract. "
        "Mend or remove the package.",
    ),
    Code(
        "C127",
        _E,
        "two packages offer the same connector",
        "Neither is used, since it would be chance which one won. Remove one of the packages.",
    ),
    Code(
        "C128",
        _W,
        "a package of functions cannot be used",
        "Its functions are left out, so mappings that call them do not compile. Mend or remove the "
        "package.",
    ),
    Code(
        "C129",
        _E,
        "message structures that cannot be read",
        "structures: names a text of the project in HL7's abstract message syntax, one structure "
        "after the other, each beginning with its name and a colon on a new line; see "
        "docs/mapping.md.",
    ),
    Code(
        "C130",
        _E,
        "two channels listen on one port",
        "Only one of them could start. 0.0.0.0 and :: take the port on every address.",
    ),
    Code(
        "C131",
        _E,
        "retry times that do not fit together",
        "first: is the shortest wait, max: the longest, and give_up: at least one wait.",
    ),
    Code(
        "C132",
        _E,
        "an unknown ordering key",
        "ordering.key is an index key that every inbound channel routed here has, or a path of "
        "their format, such as PID-3.1.",
    ),
    Code(
        "C133",
        _E,
        "concurrency where order is kept",
        "Only 'ordering: none' sends several at once; to keep order per patient and be fast, use "
        "'ordering: {key: patient, lanes: 8}'.",
    ),
    Code(
        "C134",
        _W,
        "unknown outcomes are sent again",
        "When a connection breaks after the message left, the peer may have it. This connector's "
        "peers do not ignore a second copy, so 'on_uncertain: retry' can apply a message twice. "
        "'hold' keeps it for a person.",
    ),
    Code(
        "C135",
        _W,
        "patients' data would travel in clear",
        "The peer is not on this machine and the channel has no TLS. Set tls:, or use https, or "
        "know that the network between is closed.",
    ),
    Code(
        "C136",
        _E,
        "more at once than the connector can send",
        "Each lane, and each unit of concurrency, is a message under way. The connector says how "
        "many its peers can take side by side: 'carebus describe CONNECTOR'.",
    ),
    Code(
        "C137",
        _E,
        "a path into a payload that is not read",
        "raw passes bytes on without reading them, so there is nothing to ask for: no index, no "
        "duplicate key, no condition, no mapping. Say which format it is.",
    ),
    Code(
        "C138",
        _E,
        "a validation that cannot be done",
        "FHIR and HL7 v2 are checked against their own definitions, json against a JSON Schema, "
        "xml, soap and cda against an XSD of the project: validate: {level: warn, schema: FILE}. "
        "raw is never read.",
    ),
    Code(
        "C139",
        _E,
        "a duplicate rule where the connector has its own",
        "A channel has one rule for what makes two messages one. This connector's sender names "
        "each delivery, which is surer than anything the content says, and holds without a time "
        "limit.",
    ),
    # --- routes
    Code("C201", _E, "two routes have one name", "The record of each delivery names its route."),
    Code(
        "C202",
        _E,
        "an unknown channel",
        "A channel is a file in channels/; its name is the file's name without .yaml.",
    ),
    Code(
        "C203",
        _E,
        "a channel of the wrong direction",
        "A route goes from inbound channels to outbound ones.",
    ),
    Code(
        "C204",
        _E,
        "an unknown mapping",
        "A mapping is a file in mappings/; its name is its path there without .yaml.",
    ),
    Code(
        "C205",
        _E,
        "formats that do not fit",
        "A mapping reads the format of the route's inbound channels and writes the format of its "
        "target. Without a mapping the bytes are passed on, so both channels need one format.",
    ),
    Code(
        "C206",
        _E,
        "two targets of a route have one name",
        "A target is called like its channel; give one of them a name:.",
    ),
    Code(
        "C207",
        _E,
        "an unknown parameter",
        "params: of a target are those that its mapping declares.",
    ),
    Code("C208", _E, "a parameter is missing", "The mapping declares it without a default."),
    Code(
        "C209",
        _E,
        "not available in this version",
        "The key is part of the grammar of routes.yaml, and this version of the engine cannot do "
        "it yet. It is refused, since a route that silently did less would be worse.",
    ),
    Code(
        "C210",
        _E,
        "inbound channels of different formats",
        "One condition or mapping reads one format, and one layout of tables. Write one route for "
        "each.",
    ),
    Code("C211", _E, "a channel is named twice", "Each message would be delivered twice."),
    Code(
        "C212",
        _W,
        "a mapping that reads other tables than its channel has",
        "layout: of a channel and from: of a mapping say what a table looks like, the one for "
        "conditions and index keys, the other for the mapping. They should say the same.",
    ),
    # --- what only the whole project shows
    Code(
        "C301",
        _W,
        "a channel that no route uses",
        "An inbound channel without a route takes messages that go nowhere; an outbound one "
        "without a route never sends.",
    ),
    Code(
        "C302",
        _W,
        "a mapping that nobody uses",
        "Name it in a route or, where it only holds maps and tables, import it; or delete it. Of "
        "the libraries in a folder such as `lib/v2/`, one that is imported is enough. A mapping "
        "that says which messages or resources it takes is there for carebus convert.",
    ),
    Code("C303", _W, "no routes", "Without a route no message goes anywhere."),
    Code(
        "C304",
        _W,
        "two mappings take the same",
        "Routes name their mapping, so this matters only where one is chosen by the message's "
        "type: carebus convert then refuses to guess. Say more exactly what each takes, or give "
        "one a higher priority.",
    ),
)
