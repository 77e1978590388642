"""What looks like a function and is part of the language: it sees tables, maps or segments.

Each form says how it is compiled, and has the documentation and examples of a function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.mapping.form import Form
from engine.mapping.forms_maps import compile_each, compile_refer
from engine.mapping.forms_queries import (
    compile_fhirpath_form,
    compile_jsonpath_form,
    compile_xpath,
)
from engine.mapping.forms_segments import (
    compile_following,
    compile_preceding,
    compile_segment_name,
    compile_segments,
)
from engine.mapping.forms_tables import compile_coding, compile_reverse, compile_table
from engine.mapping.forms_values import (
    compile_concat,
    compile_count,
    compile_default,
    compile_end,
    compile_exists,
    compile_fail,
    compile_group,
    compile_list,
    compile_narrative_html,
    compile_text,
    compile_try,
    compile_when,
)
from engine.mapping.keeping import compile_rest

_ALL: Final = (
    Form(
        "table",
        "table(code, 'Table')",
        "The code's row in a table of this file or an import; what an unmapped code gives is "
        "said by the table.",
        2,
        2,
        compile_table,
    ),
    Form(
        "reverse",
        "reverse(code, 'Table')",
        "The table read backwards; where several rows have the same value, its `reverse:` says "
        "which one is meant.",
        2,
        2,
        compile_reverse,
    ),
    Form(
        "coding",
        "coding(code, 'Table')",
        "A FHIR Coding: the table's `to:` as system, the row's code, and its display if it has "
        "one.",
        2,
        2,
        compile_coding,
    ),
    Form(
        "each",
        "each(values, 'Map', more…)",
        "The map's output for a value, or for each of a list; further arguments are the same "
        "for all.",
        2,
        20,
        compile_each,
    ),
    Form(
        "refer",
        "refer(values, 'Map', more…)",
        "A FHIR Reference to the resource that the map gives for a value, or one for each of a "
        "list. The resource becomes an entry of the output's Bundle, once however often it is "
        "referred to; the map's `key:` says what makes it the same one.",
        2,
        20,
        compile_refer,
    ),
    Form(
        "group",
        "group('OBR')",
        "Each such segment with those that belong to it. Inside `$for: x in group('OBR')` a "
        "segment path means this group's segment first, then one outside all groups.",
        1,
        1,
        compile_group,
    ),
    Form(
        "segments",
        "segments()",
        "All segments of an HL7 v2 message in their order, without its MSH.",
        0,
        0,
        compile_segments,
    ),
    Form(
        "following",
        "following(segment, 'TQ1', 'ORC', …)",
        "The segments of the first name that stand behind a segment, up to the first of the other "
        "names: an order's TQ1s, up to the next ORC.",
        2,
        20,
        compile_following,
    ),
    Form(
        "preceding",
        "preceding(segment, 'OBR', 'ORC', …)",
        "The nearest segment of the first name before a segment, unless one of the other names "
        "stands between.",
        2,
        20,
        compile_preceding,
    ),
    Form(
        "segment_name",
        "segment_name(segment)",
        "The name of a segment: `PID`.",
        1,
        1,
        compile_segment_name,
    ),
    Form(
        "rest",
        "rest('PV2-13', …)",
        "What nothing in this mapping reads of the HL7 v2 message, as a message of its own; "
        "nothing when all is read. Fields that are named are kept although they are read. "
        "`$rest:` at the root of an HL7 v2 output puts it back.",
        0,
        100,
        compile_rest,
    ),
    Form(
        "text",
        "text(value)",
        "Everything a field or component holds as one text, separators left in; other values "
        "spelled out.",
        1,
        1,
        compile_text,
        (("text(1.50)", "1.50"), ("text(true)", "true"), ("text('a')", "a")),
    ),
    Form(
        "xpath",
        "xpath(element?, 'XPath')",
        "What XPath 1.0 finds in an XML source, or from an element on: nothing, the one thing, or "
        "a list. Names need prefixes (`cda:` in CDA).",
        1,
        2,
        compile_xpath,
    ),
    Form(
        "fhirpath",
        "fhirpath(resource?, 'FHIRPath')",
        "What FHIRPath finds in a FHIR source, or in an object: nothing, the one thing, or a list.",
        1,
        2,
        compile_fhirpath_form,
    ),
    Form(
        "jsonpath",
        "jsonpath(value?, 'JSONPath')",
        "What JSONPath (RFC 9535) finds in a JSON source, or in an object or list: nothing, the "
        "one thing, or a list.",
        1,
        2,
        compile_jsonpath_form,
    ),
    Form(
        "narrative_html",
        "narrative_html(element)",
        "The narrative block of a CDA section as an XHTML div, as FHIR's Narrative takes it: no "
        "styles, scripts, images or forms.",
        1,
        1,
        compile_narrative_html,
        (("narrative_html('a')", None), ("narrative_html(1)", None), ("narrative_html([])", None)),
    ),
    Form(
        "exists",
        "exists(value)",
        "Whether there is anything: a segment, a value other than NULL, an item.",
        1,
        1,
        compile_exists,
        (("exists('a')", True), ("exists(false)", True), ("exists([])", False)),
    ),
    Form(
        "count",
        "count(values)",
        "How many there are; 0 when missing.",
        1,
        1,
        compile_count,
        (("count(['a', 'b'])", 2), ("count('a')", 1), ("count([])", 0)),
    ),
    Form(
        "first",
        "first(values)",
        "The first of a list, or the value itself.",
        1,
        1,
        compile_end(0),
        (("first(['a', 'b'])", "a"), ("first('a')", "a"), ("first([])", None)),
    ),
    Form(
        "last",
        "last(values)",
        "The last of a list, or the value itself.",
        1,
        1,
        compile_end(-1),
        (("last(['a', 'b'])", "b"), ("last('a')", "a"), ("last([])", None)),
    ),
    Form(
        "default",
        "default(value, other)",
        "The value, or the other where it is missing: `value ?? other` in a pipe.",
        2,
        2,
        compile_default,
        (("default('a', 'b')", "a"), ("first([]) | default('b')", "b"), ("default(1, 2)", 1)),
    ),
    Form(
        "when",
        "when(value, condition)",
        "The value where the condition is true, otherwise nothing: `'email' | when(PID-13.4)`.",
        2,
        2,
        compile_when,
        (("when('a', 1 == 1)", "a"), ("when('a', 1 == 2)", None), ("'a' | when([]) ?? 'b'", "b")),
    ),
    Form(
        "list",
        "list(value, …)",
        "A list of the values that are there; lists among them are taken apart.",
        1,
        1000,
        compile_list,
        (("list('a', 'b')", ["a", "b"]), ("list('a', first([]))", ["a"]), ("list([])", None)),
    ),
    Form(
        "concat",
        "concat(value, …)",
        "The values one after the other; missing ones are left out.",
        1,
        1000,
        compile_concat,
        (
            ("concat('a', 1, 'b')", "a1b"),
            ("concat('a', first([]), 'b')", "ab"),
            ("concat(first([]))", None),
            ("concat('a', 0, ['b', 'c'])", "a0bc"),
        ),
    ),
    Form(
        "try",
        "try(value)",
        "The value, or nothing where a function or arithmetic in it fails: `try(PID-7 | date)`. "
        "A required value (!), a table and $raise still stop the mapping.",
        1,
        1,
        compile_try,
        (("try('a')", "a"), ("try($src | date)", None), ("try($src + 1) ?? 'x'", "x")),
    ),
    Form(
        "fail",
        "fail('text')",
        "Stops the mapping with this literal text: `PID-3.1 ?? fail('no patient id')`.",
        1,
        1,
        compile_fail,
        (("'a' ?? fail('no id')", "a"), ("1 ?? fail('no')", 1), ("first(['x']) ?? fail('x')", "x")),
    ),
)

FORMS: Final[Mapping[str, Form]] = MappingProxyType({form.name: form for form in _ALL})
