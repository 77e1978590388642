"""M0xx to M5xx: what can be wrong in a mapping file, its expressions and its directives."""

from __future__ import annotations

from engine.syntax.code import Code, Severity

_E = Severity.ERROR
_I = Severity.INFO
_W = Severity.WARNING

ROWS: tuple[Code, ...] = (
    Code(
        "M001",
        _E,
        "a part of a mapping file has the wrong form",
        "A mapping file is a YAML mapping with from, to and out; import is a list of names; maps, "
        "tables, params and let are mappings of names.",
    ),
    Code(
        "M002",
        _E,
        "an unknown key",
        "Only the keys of the language may stand here: a misspelt one would be ignored.",
    ),
    Code(
        "M003",
        _E,
        "a key is missing",
        "A mapping says what it reads (from: {format: …}), what it writes (to: {format: …}) and "
        "how (out: …).",
    ),
    Code(
        "M004",
        _E,
        "an unknown format",
        "Mappings read and write the formats hl7v2, json, fhir, xml, soap, cda, "
        "delimited and astm.",
    ),
    Code(
        "M005",
        _E,
        "the mapping is not called like its file",
        "Routes name mappings by their file. Rename one of the two.",
    ),
    Code(
        "M006",
        _E,
        "an import that is not there",
        "import: names files below mappings/ without .yaml, such as lib/datatypes.",
    ),
    Code(
        "M007",
        _E,
        "a name has two meanings",
        "Maps and tables of a file and of all its imports, and the variables of one place, have "
        "different names, so that nothing hides anything.",
    ),
    Code(
        "M008",
        _E,
        "a parameter without a known type",
        "Parameters are text, number or boolean; the route gives them, and all are required.",
    ),
    Code(
        "M010",
        _E,
        "what a mapping takes is not said rightly",
        "message: holds structures (ORU_R01), events (ADT^A08), patterns (ADT_*) or any; when: is "
        "one expression; priority: a whole number.",
    ),
    Code(
        "M021",
        _E,
        "a base that is not there",
        "extends: names one other file of mappings/ without .yaml; a file cannot extend itself, "
        "not even through others.",
    ),
    Code(
        "M022",
        _E,
        "a path of an overlay that matches nothing",
        "Paths are keys with dots between them and $id labels of list entries in brackets: "
        "out.entry[allergy].resource.code. The base may have changed: look there.",
    ),
    Code(
        "M023",
        _E,
        "a malformed change of an overlay",
        "replace: {path: node} puts something else there, remove: [path] takes it away, "
        "add: {path: node} adds a key to an object or an entry to a list.",
    ),
    Code(
        "M024",
        _E,
        "a label that stands twice in a list",
        "An overlay names an entry by its $id, so each entry of a list has its own.",
    ),
    Code(
        "M101",
        _E,
        "an expression that cannot be read",
        "The underlined place is where reading stopped. Text is in quotes, variables begin with $, "
        "functions have parentheses or stand after |.",
    ),
    Code("M102", _E, "a text that is not closed", "End the text with the quote it began with."),
    Code(
        "M103",
        _E,
        "a number that counts from 1",
        "Fields, components and indexes begin at 1 in every format, as in HL7: the first is [1], "
        "the last [last].",
    ),
    Code(
        "M104",
        _E,
        "not a path of this format",
        "HL7 v2 paths are PID-5.1 and OBX[2]-5, FHIR paths begin with a resource type, JSON paths "
        "with $src, XML paths with / and the root's name. Numbered parts exist in HL7 only.",
    ),
    Code(
        "M105",
        _E,
        "an expression that is too large",
        "At most 4000 characters and 40 levels. Give parts a name with let.",
    ),
    Code(
        "M106",
        _E,
        "a chained comparison",
        "Write a < b and b < c, so that everybody reads the same.",
    ),
    Code(
        "M107",
        _E,
        "a segment is not a value",
        "A segment can be tested ($if: PV1) and walked ($for: x in OBX[*]); a value is one of its "
        "fields.",
    ),
    Code("M108", _E, "arithmetic without a result", "These literals have no result here."),
    Code(
        "M109",
        _E,
        "group() of something that is no segment",
        "group('OBR') gives each OBR with the segments that belong to it. It exists for HL7 v2.",
    ),
    Code(
        "M110",
        _E,
        "a query that cannot be evaluated",
        "xpath('…'), fhirpath('…') and jsonpath('…') take a literal text in their language, and "
        "search the source when it has their format. Clocks are refused in all of them.",
    ),
    Code(
        "M151",
        _E,
        "a prefix without a namespace",
        "from: and to: declare prefixes: namespaces: {p: 'urn:…'}, '' for names without one. CDA "
        "knows sdtc and xsi, SOAP knows soap and xsi.",
    ),
    Code(
        "M152",
        _E,
        "namespaces that cannot be read",
        "namespaces: {p: 'urn:…', '': 'urn:…'} maps prefixes to URIs, for xml, soap and cda.",
    ),
    Code(
        "M153",
        _E,
        "a key that is no XML name",
        "In an XML target keys are element names with or without a prefix, '@name' attributes, "
        "'#text' the text, and '#content' a list of texts and elements.",
    ),
    Code(
        "M154",
        _E,
        "a layout that cannot be read",
        "from: and to: of delimited, and layout: of a channel: separator: ';', quote: '\"' or "
        "none, header: true or false, columns: [id, name] or [{name: id, width: 8}]; to: also "
        "line_end: crlf or lf.",
    ),
    Code(
        "M155",
        _E,
        "a schema that cannot be used",
        "schema: of from: or to: names an XSD or a WSDL below mappings/, for xml, soap and cda. "
        "What it includes or imports lies in its folder or below; nothing comes from the network.",
    ),
    Code(
        "M156",
        _E,
        "a path that the schema does not have",
        "Each document is checked against the schema of from: before it is mapped, so nothing can "
        "ever stand at this path. Names count with their namespace.",
    ),
    Code(
        "M157",
        _E,
        "an output that the schema does not have",
        "What a mapping writes is checked against the schema of to: before it is sent, so this "
        "could never be sent. Names count with their namespace.",
    ),
    Code(
        "M158",
        _E,
        "an element or attribute that the schema requires and no line gives",
        "What a mapping writes is checked against the schema of to: before it is sent. Write it, "
        "with a value of its own where the source may have none.",
    ),
    Code(
        "M159",
        _W,
        "an output in another order, or more often, than the schema has it",
        "Elements are written in the order of the mapping. A schema's sequence fixes their order, "
        "and maxOccurs how many there may be.",
    ),
    Code(
        "M201",
        _E,
        "a table that does not say what an unmapped code means",
        "unmapped: error stops the message, pass sends the code as it came, drop leaves it out, "
        "and = 'x' gives x. A table that is silent would guess.",
    ),
    Code(
        "M202",
        _E,
        "a table that cannot be read backwards",
        "Several rows have the same value. Say in reverse: which code is meant.",
    ),
    Code("M203", _E, "an unknown policy", "unmapped is error, pass, drop or an expression."),
    Code(
        "M204",
        _E,
        "a table without proper rows",
        "rows: {A: a, B: {code: b, display: Bee}}; rows are literals.",
    ),
    Code(
        "M206",
        _E,
        "a file that is no code table",
        "file: names a CSV (columns from, to and maybe display, system) or a FHIR ConceptMap in "
        "JSON below mappings/.",
    ),
    Code(
        "M301",
        _E,
        "an unknown variable",
        "Variables come from let, $let, $for, params and a map's args; $now, $message.id, "
        "$channel and, in $for, $index are always there. JSON and FHIR have $src.",
    ),
    Code("M302", _E, "an unknown function", "carebus describe lists the functions."),
    Code("M303", _E, "an unknown table", "Tables are those of this file and its imports."),
    Code("M304", _E, "an unknown map", "Maps are those of this file and its imports."),
    Code(
        "M305",
        _E,
        "the wrong number of arguments",
        "In a pipe, the value before | is the first argument.",
    ),
    Code(
        "M306",
        _E,
        "the wrong arguments for a map",
        "$with gives every argument that the map's args name, and no other.",
    ),
    Code(
        "M307",
        _E,
        "a map that uses itself",
        "Maps cannot recurse, not even through others: that is why every mapping ends.",
    ),
    Code(
        "M308",
        _E,
        "a map that looks outside",
        "A map is pure: it sees its arguments, not the message. Give it what it needs.",
    ),
    Code(
        "M309",
        _E,
        "a name that must be literal",
        "Tables, maps and segments are named by a text in quotes, so that they are found when the "
        "mapping is compiled.",
    ),
    Code(
        "M310",
        _E,
        "an argument that cannot work",
        "This literal is not what the function takes; it would fail for every message.",
    ),
    Code(
        "M312",
        _E,
        "the rest of what is no HL7 v2 message",
        "rest() takes what nobody reads out of an HL7 v2 source; $rest puts such a text into an "
        "HL7 v2 output.",
    ),
    Code(
        "M311",
        _E,
        "a reference outside FHIR",
        "refer() and $refer make entries of the output's Bundle; they need to: {format: fhir}. "
        "each() and $use put what a map gives in its place.",
    ),
    Code(
        "M401",
        _E,
        "text that looks like an expression",
        "An expression begins with '='. If text is meant, quote it.",
    ),
    Code(
        "M501",
        _E,
        "an unknown or malformed directive",
        "Directives are $for, $if, $let, $case with $of and $else, $use or $refer with $with, "
        "$copy, $first, $merge and $raise; $id labels a list entry.",
    ),
    Code(
        "M502",
        _E,
        "half a directive",
        "$case belongs with $of, $else with $case, $with with $use or $refer.",
    ),
    Code("M503", _E, "a $for that walks nothing", "Write $for: x in PID-3[*]."),
    Code(
        "M504",
        _E,
        "$raise with an expression",
        "What $raise says goes to logs and dashboards, so it is literal: no value of a message "
        "may be shown there.",
    ),
    Code(
        "M506",
        _E,
        "a key within a segment that is no number",
        "Within a segment of an HL7 v2 target, keys are numbers of fields, then of components, "
        "then of sub-components: PID: {5: {1: …}}.",
    ),
    Code("M507", _E, "a computed key", "Keys of the output are literal."),
    Code("M508", _E, "a case that stands twice", "Only the first of equal cases could ever run."),
)
