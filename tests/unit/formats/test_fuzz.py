"""Readers end with a document or a FormatError for any bytes; round trips are exact."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.contract import ErrorInfo, FormatError, Outcome, Payload, Receipt, Stage
from engine.formats import FORMATS
from engine.formats.hl7v2 import Separators, parse
from engine.formats.hl7v2.acknowledgement import acknowledge, read_acknowledgement
from engine.formats.hl7v2.batch import is_batch, split_batch
from engine.formats.hl7v2.separators import separators_of

SETTINGS = settings(max_examples=100, deadline=None)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHARSETS = st.sampled_from(
    ["", "ASCII", "8859/1", "GBK", "~ISO IR87", "UNICODE UTF-8", "UNICODE UTF-16", "BIG-5", "X"]
)
PIECES = st.sampled_from(
    [
        b"MSH|^~\\&|", b"MSH", b"\rMSH#", b"PID|1||", b"OBX|", b"\r", b"\n", b"\r\n", b"|", b"^",
        b"~", b"\\", b"&", b'""', b"\\X0D\\", b"\\M2442\\", b"\\C2842\\", b"\x0b", b"\x1c\r",
        b"\x1b$B", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00", "珅".encode("gbk"),
        "珅".encode(), b"FHS|", b"BHS|", b"BTS|9\r", b"|||||||||||||||", b"GBK", b"UNICODE UTF-16",
        b"ISO IR87", b"A01", b" ",
    ]
)  # fmt: skip
SOUP = st.lists(PIECES | st.binary(max_size=6), max_size=25).map(b"".join)
BODIES = SOUP | SOUP.map(lambda soup: b"MSH|^~\\&|" + soup) | st.binary(max_size=60)
RECEIPTS = st.sampled_from(
    [
        Receipt(Outcome.ACCEPTED),
        Receipt(Outcome.REJECTED, error=ErrorInfo("X", "no|\r", Stage.ROUTING, help="珅")),
        Receipt(Outcome.UNAVAILABLE),
    ]
)
PATHS = st.sampled_from(
    ["MSH-3", "MSH-10", "PID-5", "PID-5.2", "PID-3[2]", "PID-3[2].4.2", "OBX[2]-5", "ZZZ-1"]
)


@SETTINGS
@given(BODIES, st.sampled_from([None, "utf-8", "gb18030", "latin-1"]), RECEIPTS)
def test_any_bytes_are_read_or_refused_and_always_answered(
    body: bytes, charset: str | None, receipt: Receipt
) -> None:
    try:
        message = parse(body, charset)
    except FormatError:
        message = None
    else:
        assert message.to_bytes() == body
        for segment in message.all:
            assert segment.name == segment.field(0)
            for raw in segment.fields:
                message.separators.unescape(raw)
        assert message.to_bytes() == body
        assert isinstance(message.type + message.control_id + message.version, str)
    answer = acknowledge(message, receipt, now=NOW, control_id="1", body=body)
    if answer is not None:
        assert read_acknowledgement(answer, charset).code[0] in "AC"


@SETTINGS
@given(BODIES)
@example(b"MSH:\r\x00\x00\x00:")
def test_an_edit_that_changes_nothing_changes_no_byte(body: bytes) -> None:
    try:
        message = parse(body)
    except FormatError:
        return
    for segment in message.all:
        segment.edited = True
    if message.charset.codec.startswith("iso2022"):
        assert parse(message.to_bytes()).all[-1].fields == message.all[-1].fields
    else:
        assert message.to_bytes() == body


@SETTINGS
@given(PATHS, st.text(max_size=20), st.sampled_from(["\r", "\n", "\r\n"]), CHARSETS)
@example("PID-5", "a\rMSH|", "\n", "GBK")
def test_what_is_set_is_read_again(path: str, text: str, end: str, charset: str) -> None:
    header = rf"MSH|^~\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||{charset}"
    message = parse(f"{header}{end}PID|1||2~3{end}OBX|1{end}".encode())
    before = [segment.name for segment in message.all]
    message.set(path, text)
    assert message.get(path) == (text or None)
    try:
        body = message.to_bytes()
    except FormatError:
        assert not text.isascii()
        return
    again = parse(body)
    assert again.get(path) == (text or None)
    assert [segment.name for segment in again.all][: len(before)] == before


@SETTINGS
@given(st.text(), st.sampled_from([r"^~\&", r"^~\&#", "#!@%*", "^~&", ""]), CHARSETS)
def test_escaping_is_undone_by_unescaping(text: str, encoding: str, charset: str) -> None:
    separators = separators_of("|", encoding, "utf-8")
    escaped = separators.escape(text)
    assert separators.unescape(escaped) == text
    assert not set(escaped) & set("\r\n|" + separators.component + separators.subcomponent)


@SETTINGS
@given(st.text(alphabet="\\FSTRECMXHN.br0124aA&|漢", max_size=30))
def test_unescaping_never_fails(text: str) -> None:
    for codec in ("utf-8", "gb18030", "iso2022_jp_ext", "utf-16-le"):
        assert isinstance(Separators(codec=codec).unescape(text), str)


@SETTINGS
@given(BODIES)
def test_batches_are_split_or_refused(body: bytes) -> None:
    is_batch(body)
    try:
        batch = split_batch(body)
    except FormatError:
        return
    for message in batch.messages:
        assert message.startswith(b"MSH")
        assert not is_batch(message)


FIELDS = st.dictionaries(
    st.integers(1, 30),
    st.recursive(
        st.text(max_size=5) | st.none() | st.integers() | st.booleans(),
        lambda inner: (
            st.dictionaries(st.integers(1, 9), inner, max_size=3) | st.lists(inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=4,
)


@SETTINGS
@given(st.dictionaries(st.sampled_from(["PID", "OBX", "ZZ1", "GROUP"]), FIELDS | st.lists(FIELDS)))
def test_trees_are_written_so_that_they_can_be_read(tree: dict[str, object]) -> None:
    try:
        body = FORMATS["hl7v2"].write({"MSH": {9: {1: "ADT"}}, **tree}).body
    except FormatError:
        return
    message = parse(body)
    assert message.type == "ADT"
    assert {segment.name for segment in message.all} <= {"MSH", *tree}


JSON_SOUP = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"', "1.50", "1e5", "-", "null", "\\u", " "]
    ),
    max_size=15,
).map("".join)


@SETTINGS
@given(st.binary(max_size=40) | JSON_SOUP.map(str.encode))
def test_json_is_read_or_refused(body: bytes) -> None:
    for name in ("json", "fhir"):
        try:
            document = FORMATS[name].parse(Payload(body))
        except FormatError:
            continue
        again = FORMATS[name].parse(FORMATS[name].write(document))
        assert again == document


@SETTINGS
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.decimals(allow_nan=False, allow_infinity=False),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
        max_leaves=8,
    )
)
def test_json_values_survive(value: object) -> None:
    payload = FORMATS["json"].write(value)
    assert FORMATS["json"].write(FORMATS["json"].parse(payload)) == payload
