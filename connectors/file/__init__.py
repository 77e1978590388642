"""Files in folders, both ways: a file is one message (or an HL7 batch of them).

A file half written is never read, and never left behind for others to read.
"""

from __future__ import annotations

from connectors.file.errors import ERRORS
from connectors.file.settings import DestinationSettings, SourceSettings
from engine.contract import Capabilities, ConnectorSpec, Role, Stability

__all__ = ["SPEC"]

_INBOUND = """\
system: LIS
direction: inbound
connector: file
settings:
  directory: /var/spool/lis/out
  pattern: "*.hl7"
  poll: 2s
  stable_for: 5s
format: hl7v2
charset: gb18030
"""

_BATCHES = """\
system: REGISTRY
direction: inbound
connector: file
settings:
  directory: /srv/registry/in
  ready: marker
  split: hl7v2_batch
format: hl7v2
"""

_OUTBOUND = """\
system: ARCHIVE
direction: outbound
connector: file
settings:
  directory: /srv/archive/in
  name: "{received:%Y%m%d%H%M%S}-{message_id}.hl7"
format: hl7v2
"""

SPEC = ConnectorSpec(
    name="file",
    summary="Reads the files of a folder as messages; writes messages as files.",
    stability=Stability.BETA,
    source=Role(
        SourceSettings,
        "connectors.file.source:FileSource",
        Capabilities(redelivers=True, single=True),
    ),
    destination=Role(
        DestinationSettings, "connectors.file.destination:FileDestination", Capabilities()
    ),
    examples=(_INBOUND, _BATCHES, _OUTBOUND),
    errors=ERRORS,
    notes="""\
Inbound. Hidden files, symbolic links, folders and names ending in .tmp, .part, .partial, .filepart
or .crdownload are never looked at. An owned (accepted or duplicate) file moves to `processed`; a
refused one moves to `error` with a text beside it that says why, without content; a file that the
engine cannot take now stays and is offered again. Files that are ready are offered one after the
other in the order asked for; a file that is not ready yet does not hold up the others. A file is
known by name, size, time and inode, so that a crash between taking and moving it gives no second
message; to send a file again, copy it (a move back into the folder is recognised). One process
reads a folder; a lock in .carebus.lock sees to that, except on network file systems without locks.

Outbound. A file appears whole under its final name, and after it is on the disk, or not at all.
Nothing is overwritten: the same name with the same content counts as delivered, with other content
it is refused, so let `name` hold {content} when one message has several targets in this channel.
That makes a repeated delivery harmless while the file is there. Once its reader took it away a
second copy would be written, so the connector does not claim that copies are ignored.
""",
)
