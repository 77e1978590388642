"""The shipped library: what a large message costs, and what checking the project costs.

    .venv/bin/python -m bench.library

Prints CPU milliseconds, the best of several: an ORU of 500, 1,000 and 5,000 OBX by the shipped
``oru-to-fhir`` (each OBX has a code of its own; unit, times, observer and laboratory repeat), a
document of 800 KB in base64 in one OBX-5, ``carebus lint`` of the project once everything is
loaded, and messages a second over the public examples, each by the mapping that its type chooses.
"""

from __future__ import annotations

import base64
import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from bench.project import REPOSITORY
from engine.cli.collector import spare_the_collector
from engine.config.connectors import find_connectors
from engine.config.load import load
from engine.contract import MapContext, MappingError, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping import CompiledMapping, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml

CONTEXT: Final = MapContext(MessageId("bench"), datetime(2024, 1, 15, 8, tzinfo=UTC))
CORPUS: Final = REPOSITORY.parent / "shared" / "corpora" / "messages"
HEADER: Final = (
    r"MSH|^~\&|LIS|LAB|CB|H|20260131093000||ORU^R01^ORU_R01|R1|P|2.5.1",
    "PID|1||4711^^^HOSP^MR||Zhang^San||19610101|F|||1 Street^^City^^1234",
    "PV1|1|I|W^1^2",
    "ORC|RE|A1|B1",
    "OBR|1|A1|B1|CBC^Blood count^L|||20260131080000|||||||||1^Doc^A|||||||20260131093000|||F",
)


def results(count: int) -> bytes:
    """An ORU with as many OBX, of 210 characters each."""
    lines = [
        f"OBX|{n}|NM|WBC{n}^White cells very long name indeed here {n}^LN^WBC^White cells local^L"
        f"||6.{n}|10*9/L^per^UCUM|4-10|N|||F|||20260131090000||1^Tech^B||20260131091000"
        "||||Lab of the North^^^^^^^^^X1|1 Street^^City^^123"
        for n in range(1, count + 1)
    ]
    return "\r".join([*HEADER, *lines, ""]).encode()


def document(size: int) -> bytes:
    """An ORU whose only OBX holds a document of that many characters in base64."""
    data = base64.b64encode(bytes(size * 3 // 4)).decode()
    obx = f"OBX|1|ED|PDF^Report^L||^application^pdf^Base64^{data}||||||F"
    return "\r".join([*HEADER, obx, ""]).encode()


def mapping_of(name: str) -> CompiledMapping:
    """Raises RuntimeError when it is wrong."""
    folder, diagnostics = REPOSITORY / "mappings", Diagnostics()
    path = folder / f"{name}.yaml"
    root = read_yaml(path.read_text("utf-8"), str(path), diagnostics)
    found = None
    if root is not None:
        library = FolderLibrary(folder)
        found = compile_mapping(root, diagnostics=diagnostics, library=library, name=name)
    if found is None:
        raise RuntimeError(f"{name} has errors: carebus lint shows them")
    return found


def best(work: Callable[[], object], repeats: int) -> float:
    """CPU milliseconds of the fastest."""
    found = []
    for _ in range(repeats):
        gc.collect()
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found) * 1000


def applied(mapping: CompiledMapping, body: bytes) -> Callable[[], Any]:
    """Reading the message and mapping it."""

    def work() -> Any:
        return mapping.apply(FORMATS["hl7v2"].parse(Payload(body), charset=None), CONTEXT)

    work()  # what is made when it is first wanted
    return work


def lint() -> float:
    """CPU milliseconds of reading and checking the whole project."""
    connectors, _ = find_connectors()

    def work() -> None:
        load(REPOSITORY, connectors=connectors, environ={})

    gc.disable()  # as the command does
    try:
        return best(work, 2)
    finally:
        gc.enable()


def corpus() -> tuple[int, int, float]:
    """Messages that were mapped, those that were refused, and messages a CPU second."""
    mappings = {
        kind: mapping_of(name)
        for kind, name in {
            "ADT": "adt-to-fhir", "ORU": "oru-to-fhir", "ORM": "orm-to-fhir",
            "SIU": "siu-to-fhir", "MDM": "mdm-to-fhir", "VXU": "vxu-to-fhir",
        }.items()
    }  # fmt: skip
    work = []
    for path in sorted(CORPUS.rglob("*.hl7")):
        body = path.read_bytes().lstrip()
        fields = body[:300].decode("latin-1").split("|")
        mapping = mappings.get(fields[8][:3]) if body[:3] == b"MSH" and len(fields) > 8 else None
        if mapping is not None:
            work.append((mapping, body))
    for measured in (*[False] * 12, True):  # what is often called is made faster meanwhile
        refused = 0
        started = time.process_time()
        for mapping, body in work:
            try:
                document = FORMATS["hl7v2"].parse(Payload(body), charset=None)
                FORMATS["fhir"].write(mapping.apply(document, CONTEXT), charset=None)
            except MappingError:
                refused += 1
        seconds = time.process_time() - started
        if measured and work:
            return len(work) - refused, refused, len(work) / seconds
    return 0, 0, 0.0


def main() -> None:
    mapping = mapping_of("oru-to-fhir")
    spare_the_collector()  # as an engine does
    of_500 = best(applied(mapping, results(500)), 30)
    of_1000 = best(applied(mapping, results(1000)), 8)
    of_5000 = best(applied(mapping, results(5000)), 3)
    print(f"ORU, 500 OBX, {len(results(500)) // 1000} KB  {of_500:8.1f} ms")
    print(f"ORU, 1,000 OBX          {of_1000:8.1f} ms")
    print(f"ORU, 5,000 OBX          {of_5000:8.1f} ms")
    print(f"an OBX of 5,000, against one of 500  ratio {of_5000 / of_500 / 10:.2f}")
    large, small = (best(applied(mapping, document(size)), 10) for size in (800_000, 1_000))
    print(f"800 KB of base64        {large - small:8.1f} ms more than 1 KB")
    tree = applied(mapping, results(500))()
    writing = best(lambda: FORMATS["fhir"].write(tree, charset=None), 10)
    print(f"writing what 500 OBX give  {writing:5.2f} ms")
    print(f"lint of the project     {lint() / 1000:8.2f} s")
    if CORPUS.is_dir():
        mapped, refused, rate = corpus()
        print(f"public examples         {rate:8,.0f} msg/s ({mapped} mapped, {refused} refused)")


if __name__ == "__main__":
    main()
