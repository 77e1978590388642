"""The project that the load runs through: MLLP in, the shipped mappings, FHIR over HTTP out.

Written into a directory of the run, so that a benchmark never depends on what a person changed
in the shipped channels.  The mappings are the shipped ones.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
LEAN: Final = {"adt-to-fhir": "mapping-adt", "oru-to-fhir": "mapping-oru"}

_SOURCE = """\
system: LOAD
direction: inbound
connector: mllp
settings: {{host: 127.0.0.1, port: {port}}}
format: hl7v2
{extra}"""

_DUPLICATES = "duplicates: {key: [MSH-3, MSH-4, MSH-10], within: 24h}\n"

_SINK = """\
system: SINK
direction: outbound
connector: fhir
settings: {{url: "http://127.0.0.1:{port}/fhir", timeout: 10s}}
format: fhir
{order}
retry: {{first: 100ms, factor: 2, max: 1s}}
on_uncertain: retry
"""

_ROUTES = """\
routes:
  - name: admissions
    from: load-in
    when: = MSH-9.1 == 'ADT'
    to: [{channel: sink-fhir, mapping: adt-to-fhir}]
  - name: results
    from: load-in
    when: = MSH-9.1 == 'ORU'
    to: [{channel: sink-fhir, mapping: oru-to-fhir}]
"""


@dataclass(frozen=True, slots=True)
class LoadProject:
    """Where a written project is, and the ports it uses."""

    root: Path
    intake: int  # the engine listens here
    sink: int  # and delivers there

    @property
    def data(self) -> Path:
        """The engine's data directory for this project."""
        return self.root / "var"


def write_project(
    root: Path,
    *,
    intake: int,
    sink: int,
    lanes: int = 8,
    duplicates: bool = False,
    lean: bool = False,
    free: int = 0,
    connections: int = 50,
) -> LoadProject:
    """Write routes, channels and mappings under ``root``.  ``duplicates``: the source channel
    recognises a message that is sent again.  ``lean``: mappings of a few resources instead of the
    shipped ones, which follow the whole implementation guide.  ``free``: instead of keyed lanes
    none, and so many sends at once in each process.  ``connections``: how many senders may be
    connected."""
    channels = root / "channels"
    channels.mkdir(parents=True)
    extra = f"limits: {{connections: {connections}}}\n" + (_DUPLICATES if duplicates else "")
    (channels / "load-in.yaml").write_text(_SOURCE.format(port=intake, extra=extra), "utf-8")
    order = f"ordering: {{key: patient, lanes: {lanes}}}"
    if free:
        order = f"ordering: none\nconcurrency: {free}"
    (channels / "sink-fhir.yaml").write_text(_SINK.format(port=sink, order=order), "utf-8")
    if lean:
        (root / "mappings").mkdir()
        for name in LEAN.values():
            shutil.copy(REPOSITORY / "bench" / f"{name}.yaml", root / "mappings")
        routes = _ROUTES
        for shipped, name in LEAN.items():
            routes = routes.replace(shipped, name)
    else:
        shutil.copytree(REPOSITORY / "mappings", root / "mappings")
        routes = _ROUTES
    (root / "routes.yaml").write_text(routes, "utf-8")
    return LoadProject(root, intake, sink)
