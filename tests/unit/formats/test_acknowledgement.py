"""What a sender is told: by outcome, mode and version; read by python-hl7 as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import hl7
import pytest

from engine.contract import ErrorInfo, FormatError, MessageId, Outcome, Receipt, Stage
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.acknowledgement import acknowledge, read_acknowledgement

NOW = datetime(2026, 3, 1, 9, 15, 30, tzinfo=UTC)
ACCEPTED = Receipt(Outcome.ACCEPTED, MessageId("m"))
DUPLICATE = Receipt(Outcome.DUPLICATE, MessageId("m"))
REJECTED = Receipt(
    Outcome.REJECTED,
    error=ErrorInfo("C101", "no route takes ADT|A99", Stage.ROUTING, help="add a route"),
)
UNAVAILABLE = Receipt(
    Outcome.UNAVAILABLE, error=ErrorInfo("STORE-FULL", "the disk is nearly full", Stage.STORING)
)


def adt(
    version: str = "2.5.1",
    accept: str = "",
    application: str = "",
    charset: str = "",
    end: str = "\r",
) -> bytes:
    header = (
        rf"MSH|^~\&|HIS|GEN|BUS|HUB|20260301||ADT^A01^ADT_A01|MSG7|T|{version}|||{accept}"
        rf"|{application}||{charset}"
    )
    return f"{header}{end}PID|1||42||Doe^Jo{end}".encode()


def answer(body: bytes, receipt: Receipt = ACCEPTED) -> str | None:
    result = acknowledge(parse(body), receipt, now=NOW, control_id="ACK1")
    return None if result is None else result.decode().replace("\r", "\n")


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("2.1", "ACK"),
        ("2.2", "ACK^A01"),
        ("2.3", "ACK^A01"),
        ("2.3.1", "ACK^A01^ACK"),
        ("2.4", "ACK^A01^ACK"),
        ("2.5", "ACK^A01^ACK"),
        ("2.5.1", "ACK^A01^ACK"),
        ("2.6", "ACK^A01^ACK"),
        ("2.7", "ACK^A01^ACK"),
        ("2.7.1", "ACK^A01^ACK"),
        ("2.8", "ACK^A01^ACK"),
        ("2.5.1^CHE", "ACK^A01^ACK"),
        ("2.999", "ACK^A01^ACK"),
        ("2.3.z", "ACK^A01"),
        ("", "ACK^A01"),
    ],
)
def test_a_positive_answer_by_version(version: str, kind: str) -> None:
    assert answer(adt(version)) == (
        f"MSH|^~\\&|BUS|HUB|HIS|GEN|20260301091530+0000||{kind}|ACK1|T|{version}\nMSA|AA|MSG7\n"
    )


@pytest.mark.parametrize(
    ("version", "rest"),
    [
        ("2.1", "|C101: no route takes ADT\\F\\A99\nERR|^^^200\n"),
        ("2.2", "|C101: no route takes ADT\\F\\A99\nERR|^^^200\n"),
        (
            "2.3",
            "|C101: no route takes ADT\\F\\A99\nERR|^^^200&Unsupported message type&HL70357\n",
        ),
        (
            "2.3.1",
            "|C101: no route takes ADT\\F\\A99\nERR|^^^200&Unsupported message type&HL70357\n",
        ),
        (
            "2.4",
            "|C101: no route takes ADT\\F\\A99\nERR|^^^200&Unsupported message type&HL70357\n",
        ),
        *(
            (
                version,
                "\nERR|||200^Unsupported message type^HL70357|E|C101||no route takes ADT\\F\\A99"
                "|add a route\n",
            )
            for version in ("2.5", "2.5.1", "2.6", "2.7", "2.8", "nonsense")
        ),
    ],
)
def test_a_refusal_by_version(version: str, rest: str) -> None:
    text = answer(adt(version), REJECTED)
    assert text is not None
    assert text.split("\n", 1)[1] == f"MSA|AR|MSG7{rest}"


@pytest.mark.parametrize(
    ("accept", "application", "accepted", "rejected", "unavailable"),
    [
        ("", "", "AA", "AR", "AE"),
        ("AL", "", "CA", "CR", "CE"),
        ("AL", "AL", "CA", "CR", "CE"),
        ("AL", "NE", "CA", "CR", "CE"),
        ("al ", "NE", "CA", "CR", "CE"),
        ("NE", "NE", None, None, None),
        ("NE", "", None, None, None),
        ("ER", "NE", None, "CR", "CE"),
        ("SU", "NE", "CA", None, None),
        ("ER", "SU", "AA", "CR", "CE"),
        ("NE", "AL", "AA", "AR", "AE"),
        ("NE", "ER", None, "AR", "AE"),
        ("NE", "SU", "AA", None, None),
        ("", "NE", None, None, None),
        ("", "AL", "AA", "AR", "AE"),
        ("XX", "", "CA", "CR", "CE"),
    ],
)
def test_the_mode_the_sender_asks_for(
    accept: str,
    application: str,
    accepted: str | None,
    rejected: str | None,
    unavailable: str | None,
) -> None:
    body = adt(accept=accept, application=application)
    for receipt, expected in (
        (ACCEPTED, accepted),
        (DUPLICATE, accepted),
        (REJECTED, rejected),
        (UNAVAILABLE, unavailable),
    ):
        result = acknowledge(parse(body), receipt, now=NOW, control_id="1")
        assert (None if result is None else read_acknowledgement(result).code) == expected


@pytest.mark.parametrize("receipt", [ACCEPTED, DUPLICATE, REJECTED, UNAVAILABLE])
@pytest.mark.parametrize("version", ["2.1", "2.3", "2.4", "2.5.1", "2.8"])
def test_python_hl7_reads_the_same(version: str, receipt: Receipt) -> None:
    body = acknowledge(parse(adt(version, "AL")), receipt, now=NOW, control_id="ACK1")
    assert body is not None
    theirs = hl7.parse(body.decode())
    ours = read_acknowledgement(body)
    assert str(theirs["MSA"][0][1]) == ours.code
    assert str(theirs["MSA"][0][2]) == ours.control_id == "MSG7"
    header = theirs.segment("MSH")
    assert [str(header[n]) for n in (3, 4, 5, 6)] == ["BUS", "HUB", "HIS", "GEN"]
    assert str(header[12]) == version
    if receipt.error is None:
        assert "ERR" not in {str(segment[0]) for segment in theirs}
        assert ours.error_code == ""
        assert ours.positive
    else:
        error = theirs.segment("ERR")
        code = error[1][0][3][0] if version < "2.5" else error[3][0][0]
        assert str(code) == ours.error_code == ("200" if receipt is REJECTED else "207")
        assert ours.rejected == (receipt is REJECTED)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_the_line_end_is_the_senders(end: str) -> None:
    body = acknowledge(parse(adt(end=end)), REJECTED, now=NOW, control_id="1")
    assert body is not None
    assert body.decode().count(end) == 3
    assert len(body.decode().splitlines()) == 3
    assert parse(body).get("MSA-2") == "MSG7"


def test_a_header_alone_is_answered_with_carriage_returns() -> None:
    body = acknowledge(parse(b"MSH|^~\\&|"), ACCEPTED, now=NOW, control_id="1")
    assert body == b"MSH|^~\\&|||||20260301091530+0000||ACK|1|P|\rMSA|AA|\r"


def test_delimiters_are_the_senders() -> None:
    view = parse(b"MSH*#!@%*A*B*C*D*2026**ORU#R01*9*P*2.6\r")
    body = acknowledge(view, REJECTED, now=NOW, control_id="1")
    assert body is not None
    assert body.startswith(b"MSH*#!@%*C*D*A*B*20260301091530+0000**ACK#R01#ACK*1*P*2.6\rMSA*AR*9\r")
    assert parse(body).get("ERR-3.1") == "200"


@pytest.mark.parametrize(
    ("declared", "codec"), [("GBK", "gbk"), ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1")]
)
def test_the_character_set_is_the_senders(declared: str, codec: str) -> None:
    name = "Ärzte" if codec == "latin-1" else "珅院"
    wire = adt(charset=declared).decode().replace("GEN", name).encode(codec)
    body = acknowledge(parse(wire), ACCEPTED, now=NOW, control_id="1")
    assert body is not None
    assert body.decode(codec).count(name) == 1
    assert parse(body).get("MSH-18") == declared
    assert parse(body).get("MSH-6") == name


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_wide_and_marked_senders_are_answered_in_kind(codec: str) -> None:
    body = acknowledge(parse(adt().decode().encode(codec)), REJECTED, now=NOW, control_id="1")
    assert body is not None
    assert read_acknowledgement(body).code == "AR"
    if codec == "utf-8-sig":
        assert body.startswith(b"MSH")
    else:
        assert body.decode(codec).startswith("MSH")


def test_the_time_has_its_zone() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    body = acknowledge(parse(adt()), ACCEPTED, now=local, control_id="1")
    assert body is not None
    assert parse(body).get("MSH-7") == "20260301054530-0330"


def test_an_unreadable_message_is_refused_with_what_can_be_read() -> None:
    receipt = Receipt(
        Outcome.REJECTED,
        error=ErrorInfo("CHARSET-DECODE", "a byte does not fit", Stage.RECEIVING),
    )
    wire = adt("2.3", charset="UNICODE UTF-8").replace(b"GEN", b"G\xff")
    body = acknowledge(None, receipt, now=NOW, control_id="ACK1", body=wire)
    assert body is not None
    assert body.decode("ascii").replace("\r", "\n") == (
        "MSH|^~\\&|BUS|HUB|HIS||20260301091530+0000||ACK^A01|ACK1|T|2.3\n"
        "MSA|AR|MSG7|CHARSET-DECODE: a byte does not fit\nERR|^^^102&Data type error&HL70357\n"
    )


@pytest.mark.parametrize(
    "wire", [b"", b"\x00\xff", b"hello", b"MSH", b"MSH|", b"MSHAAAAAAAAA", b"xx MSH"]
)
def test_bytes_that_are_nothing_are_refused_too(wire: bytes) -> None:
    body = acknowledge(None, REJECTED, now=NOW, control_id="ACK1", body=wire)
    assert body is not None
    assert body.decode("ascii").replace("\r", "\n") == (
        "MSH|^~\\&|||||20260301091530+0000||ACK|ACK1|P|2.5.1\nMSA|AR|\n"
        "ERR|||200^Unsupported message type^HL70357|E|C101||no route takes ADT\\F\\A99"
        "|add a route\n"
    )


def test_no_frame_end_gets_into_an_answer() -> None:
    view = parse(b"MSH|^~\\&|||||||ADT^A01|7\x1c")
    body = acknowledge(view, ACCEPTED, now=NOW, control_id="1")
    assert body is not None
    assert b"\x1c" not in body


def test_an_error_in_another_script_does_not_stop_the_answer() -> None:
    receipt = Receipt(Outcome.REJECTED, error=ErrorInfo("X-1", "磁盘已满", Stage.STORING))
    body = acknowledge(parse(adt(charset="ASCII")), receipt, now=NOW, control_id="1")
    assert body is not None
    assert parse(body).get("ERR-7") == "????"


@pytest.mark.parametrize(
    ("rest", "code", "error_code", "severity"),
    [
        ("MSA|AA|7", "AA", "", ""),
        ("MSA| ca |7", "CA", "", ""),
        ("MSA|AE|7|busy", "AE", "", ""),
        ("MSA|AE|7|busy|||207^Internal", "AE", "207", ""),
        ("MSA|AR|7\rERR|PID^1^3^101&Required", "AR", "101", ""),
        ("MSA|CR|7\rERR||PID^1^3|101^Required^HL70357|E", "CR", "101", "E"),
        ("MSA|AE|7\nERR||PID^1^3|101^Required^HL70357|E\n", "AE", "101", "E"),
    ],
)
def test_a_peers_answer_is_read(rest: str, code: str, error_code: str, severity: str) -> None:
    ack = read_acknowledgement(f"MSH|^~\\&|||||||ACK|1|P|2.5\r{rest}".encode())
    assert (ack.code, ack.control_id, ack.error_code, ack.severity) == (
        code, "7", error_code, severity,
    )  # fmt: skip
    assert "busy" not in repr(ack)


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"MSH|^~\\&|\r", b"MSH|^~\\&|\rMSA||1", b"MSH|^~\\&|\rMSA|OK|1"]
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(FormatError):
        read_acknowledgement(body)
