"""Yxxx: what can be wrong in a file before anyone asks what it means."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_E = Severity.ERROR

ROWS: tuple[Code, ...] = (
    Code(
        "Y001",
        _E,
        "the file is not UTF-8",
        "Configuration is read as UTF-8 whatever the machine's locale is, so that a Chinese "
        "comment means the same everywhere. Save the file again as UTF-8.",
    ),
    Code(
        "Y002",
        _E,
        "the file begins with a byte order mark",
        "Some editors put the invisible character U+FEFF before the first key. Save the file as "
        "UTF-8 without BOM.",
    ),
    Code(
        "Y003",
        _E,
        "a character that YAML does not allow",
        "Control characters and Unicode line separators cannot be seen, and other programs read "
        "them as line ends. In a double-quoted text, write them as \\x1C or \\u2028.",
    ),
    Code(
        "Y004",
        _E,
        "the file is too large",
        "A configuration file is at most 4 MiB and 200,000 values, so that no file can fill the "
        "engine's memory. Put a large code table into several files.",
    ),
    Code(
        "Y005",
        _E,
        "nested too deeply",
        "Lists and mappings are nested at most 64 deep. Give an inner part a name: a map in a "
        "mapping, a profile in tls.yaml.",
    ),
    Code(
        "Y006",
        _E,
        "a tab",
        "YAML does not say how wide a tab is, so it cannot indent. Use spaces; inside a "
        "double-quoted text write \\t.",
    ),
    Code("Y007", _E, "the file is empty", "A file without a single key is a mistake: delete it."),
    Code(
        "Y008",
        _E,
        "several documents in one file",
        "'---' starts a second document, which would be ignored. Use one file for each channel "
        "and each mapping.",
    ),
    Code(
        "Y101",
        _E,
        "the text is not YAML",
        "The file cannot be read at this place. Most often the indentation of the line, or of "
        "the line before it, is off, or a quote or a bracket is not closed.",
    ),
    Code(
        "Y102",
        _E,
        "a key is written twice",
        "Many readers of YAML silently take the last of two equal keys. Keys are compared as "
        "text, so 1 and '1' are equal.",
    ),
    Code(
        "Y103",
        _E,
        "a key that is not text",
        "A key is a single text. Quote a key that begins with '[', '{', '&' or '*'.",
    ),
    Code(
        "Y104",
        _E,
        "a merge key",
        "'<<' hides where a value comes from. Repeat the keys, or use what the file offers for "
        "sharing: import and $use in mappings, profiles in tls.yaml.",
    ),
    Code(
        "Y105",
        _E,
        "a YAML tag or directive",
        "Tags such as !!int and !include, and directives such as %TAG, change what a text means. "
        "None is needed: the key decides what is wanted.",
    ),
    Code(
        "Y106",
        _E,
        "an alias without an anchor",
        "'*name' repeats what '&name' marked earlier in the same file, and cannot stand inside "
        "it. Quote a text that begins with '*'.",
    ),
    Code(
        "Y107",
        _E,
        "aliases expand too far",
        "Aliases of aliases multiply. All aliases of one file together may repeat at most 20,000 "
        "values.",
    ),
    Code(
        "Y108",
        _E,
        "null is not a value",
        "What is missing is left out. Quote null, or ~, where the text itself is meant.",
    ),
    Code(
        "Y109",
        _E,
        "YAML cut this expression short",
        "Outside quotes, ' #' begins a comment, ': ' ends a key, and inside {…} or […] a comma "
        "or a bracket ends a value. Quote the whole expression, '=' included, or write it on a "
        "line of its own.",
    ),
    Code(
        "Y110",
        _E,
        "a ': ' inside a text",
        "Outside quotes, a colon followed by a space ends a key. Quote the text.",
    ),
    Code(
        "Y201",
        _E,
        "true or false is wanted",
        "Only true and false are booleans here. yes, no, on, off, y and n are text: NO is a "
        "country.",
    ),
    Code(
        "Y202",
        _E,
        "a whole number is wanted",
        "Write digits only: no leading zero, no '_', no ':', no '0x'.",
    ),
    Code(
        "Y203",
        _E,
        "a number is wanted",
        "Write it as in JSON: digits, at most one point, a digit on both sides of it.",
    ),
    Code("Y204", _E, "a single text is wanted", "A list or a mapping stands where a text belongs."),
    Code("Y205", _E, "a mapping is wanted", "Write 'key: value' lines, or {key: value}."),
    Code("Y206", _E, "a list is wanted", "Write '- value' lines, or [value, value]."),
)
