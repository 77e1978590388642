"""Pxxx: the process around the project: settings, the control endpoint, the command line."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_ERROR = Severity.ERROR

ROWS: tuple[Code, ...] = (
    Code(
        "P001",
        _ERROR,
        "a setting has a wrong value",
        "CAREBUS_* settings are read from the environment and from .env in the project's"
        " directory.  The value is not shown, since it may hold a password; docs/cli.md lists what"
        " each setting takes.",
    ),
    Code(
        "P002",
        _ERROR,
        "there is no such setting",
        "Every variable that begins with CAREBUS_ must be known, so that a slip of the pen does not"
        " silently leave the default in force.",
    ),
    Code(
        "P003",
        _ERROR,
        "the .env file cannot be read",
        "It is UTF-8 text with one NAME=value a line; the value may be quoted, a line that begins"
        " with # is a comment.",
    ),
    Code(
        "P004",
        _ERROR,
        "this is not available yet",
        "The setting is reserved: this version refuses it, so that nobody believes it is in force.",
    ),
    Code(
        "P010",
        _ERROR,
        "the control token is missing or not right",
        "Everything under /api needs 'Authorization: Bearer …' with the text of control-token in"
        " the engine's data directory.  It is made anew at each start.",
    ),
    Code(
        "P011",
        _ERROR,
        "the control endpoint does not answer to this host name",
        "It answers to addresses, to localhost and to the name it listens on, so that no web page"
        " can reach it through a name of its own (DNS rebinding).",
    ),
    Code(
        "P012",
        _ERROR,
        "no such path or method",
        "docs/cli.md lists the paths of the control endpoint.",
    ),
    Code(
        "P013",
        _ERROR,
        "a parameter of the request is wrong",
        "A parameter is unknown, given twice, or has a value that cannot be read.  Times are ISO"
        " 8601 with a zone, limits are from 1 to 1000.",
    ),
    Code(
        "P014",
        _ERROR,
        "no such message or delivery",
        "It never existed here, or it was deleted after the time that keep: says.",
    ),
    Code(
        "P015",
        _ERROR,
        "no delivery of this message can be replayed",
        "A delivery can be replayed when it is sent, dead, cancelled or uncertain; one that waits"
        " or is retried goes out by itself.",
    ),
    Code(
        "P016",
        _ERROR,
        "no such channel",
        "The configuration that runs has no channel of this name.",
    ),
    Code(
        "P017",
        _ERROR,
        "this replay is too wide",
        "A replay of many names the state of its deliveries and stays under 10,000 of them, because"
        " a replay that stops half way would break the order.  Narrow it by time or channel.",
    ),
    Code(
        "P018",
        _ERROR,
        "the configuration was not reloaded",
        "The project is checked as a whole, and the old configuration runs on until all of the new"
        " one is right.",
    ),
    Code(
        "P019",
        _ERROR,
        "the request is too large",
        "The control endpoint takes parameters, not messages.",
    ),
    Code(
        "P020",
        _ERROR,
        "the control endpoint cannot listen",
        "The address of CAREBUS_API_LISTEN is in use or is not this machine's.",
    ),
    Code(
        "P021",
        _ERROR,
        "the data directory cannot be used",
        "It must be writable, on a local disk, and of one engine only: two engines on one store"
        " would deliver everything twice.",
    ),
    Code(
        "P022",
        _ERROR,
        "a defect in the control endpoint",
        "The engine's log says where it came from.  The messages in flight are not touched.",
    ),
    Code(
        "P023",
        _ERROR,
        "another replay is running",
        "Replays of many run one at a time, so that each keeps its order.",
    ),
    Code(
        "P024",
        _ERROR,
        "no engine answers",
        "The command asks the engine that runs on a data directory (--data).  None was started"
        " there, or it has stopped.",
    ),
    Code(
        "P025",
        _ERROR,
        "several processes need a broker and a store that they share",
        "The embedded broker and SQLite belong to one process.  Set CAREBUS_BROKER_URL=amqp://…"
        " and CAREBUS_STORE_URL=postgresql://…, or run one process with --role all.",
    ),
    Code(
        "P026",
        _ERROR,
        "no supervisor announced this process",
        "--leash is for the processes that carebus run --processes starts.",
    ),
    Code(
        "P030",
        _ERROR,
        "a test file is about a mapping that does not exist",
        "A *.test.yaml below mappings/ tests the mapping that its 'mapping:' names or the library"
        " that its 'library:' names, or without one the file whose name it has.",
    ),
    Code(
        "P040",
        _ERROR,
        "a file to convert cannot be read",
        "It is not there, is a folder, or may not be read.",
    ),
    Code(
        "P041",
        _ERROR,
        "two files to convert have one name",
        "The second would have written over the output of the first.",
    ),
)
