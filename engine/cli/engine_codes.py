"""What the codes of the flow, the store, the broker and TLS mean, for ``carebus describe``.

These errors happen while the engine runs; the message's history or the log shows them with a place
of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.contract import ErrorCode

_ROWS: Final = (
    ErrorCode(
        "ARCHIVE-DAMAGED",
        "a file of the archive cannot be read",
        "Bring it back from a copy.  carebus archive move writes behind it again only when it is"
        " whole, and takes nothing out of the store before that.",
    ),
    ErrorCode(
        "ARCHIVE-UNKNOWN",
        "no such message is in the archive",
        "It may still be in the store: carebus messages show ID --content.",
    ),
    ErrorCode(
        "BACKUP-BUSY",
        "another command is writing into the folder",
        "Wait until it has ended; two timers should not share a folder.",
    ),
    ErrorCode(
        "BACKUP-CHAIN",
        "an incremental backup does not find those that it continues",
        "Bring them back beside it, or restore an earlier one, or make a full one now.",
    ),
    ErrorCode(
        "BACKUP-DAMAGED",
        "a file of a backup is missing, or not as it was written",
        "carebus backup --verify says which backups are whole.  Look at the disk, and make a full"
        " one now.",
    ),
    ErrorCode(
        "BACKUP-IO",
        "the folder of backups or of the archive cannot be used",
        "Check the path, the room on the disk and the rights of the user who runs the command.",
    ),
    ErrorCode(
        "BACKUP-NEWER",
        "the backup was made by a newer engine",
        "Restore it with that engine.",
    ),
    ErrorCode(
        "BACKUP-NONE",
        "there is no backup in the folder",
        "Name the folder that was given to carebus backup, or one of the backups in it.",
    ),
    ErrorCode(
        "BACKUP-NOT-EMPTY",
        "the store to restore into is in use",
        "Restore into a new data folder or a new database: nothing is ever overwritten.",
    ),
    ErrorCode(
        "FLOW-ABANDONED",
        "whoever was sending this is gone, and nobody recorded how it ended",
        "A process was killed, or cut off, in the middle of a send. Look in the peer's system:"
        " replay it when it is not there, cancel it when it is.",
    ),
    ErrorCode(
        "FLOW-BACKLOG",
        "too many deliveries are waiting",
        "Inbound channels answer 'not now', and their senders send again, until destinations have"
        " caught up: see which one is down or slow with carebus status.",
    ),
    ErrorCode(
        "FLOW-DEFECT",
        "something in the engine or in a plug-in went wrong in a way it should not",
        "The log entry says where it came from; report it.  The message is kept.",
    ),
    ErrorCode(
        "FLOW-DISK",
        "the disk of the message store is nearly full",
        "Inbound channels answer 'not now' so that nothing accepted is lost: free space, or shorten"
        " keep: in the channels.",
    ),
    ErrorCode(
        "FLOW-HELD",
        "a delivery is held since its outcome is unknown",
        "Ask the receiving system whether it has the message, then carebus replay or cancel.",
    ),
    ErrorCode(
        "FLOW-INTERRUPTED",
        "the engine was stopped during this send",
        "The receiving system may have the message: look there before you replay it.",
    ),
    ErrorCode(
        "FLOW-INVALID",
        "a message breaks the rules of its format",
        "The channel says validate: warn (the message was taken) or reject (its sender was told)."
        "  The places are those of the stored message.",
    ),
    ErrorCode(
        "FLOW-INVALID-OUTPUT",
        "what a mapping made breaks the rules of its format",
        "The channel says validate: warn (it was sent) or reject (dead letter): mend the mapping"
        " and replay.",
    ),
    ErrorCode(
        "FLOW-NOT-DELIVERED",
        "not every target had said yes when the sender's time was over",
        "The message is stored and will be delivered.  The sender may send it again; a duplicates:"
        " rule of the channel recognises that.",
    ),
    ErrorCode(
        "FLOW-OPEN-TIMEOUT",
        "opening a channel took too long",
        "Check the address, and that no firewall drops the connection silently: carebus check.",
    ),
    ErrorCode(
        "FLOW-NOBODY",
        "no living process runs channels of this direction",
        "Of several processes all that live have another role. Start one with --role workers,"
        " sources or all.",
    ),
    ErrorCode(
        "FLOW-REMOVED",
        "deliveries wait for a channel that is no longer configured",
        "Configure it again under its old name, and they go on.  Or cancel them: carebus messages"
        " --channel NAME --state queued shows their numbers.",
    ),
    ErrorCode(
        "FLOW-SENDING",
        "this delivery is being sent at this moment",
        "Look at its state again in a moment; then it can be cancelled or replayed, or it is sent.",
    ),
    ErrorCode(
        "FLOW-STOPPED",
        "a delivery was stopped before every target had said yes",
        "The engine drains or the channel was changed; the delivery goes on after the start.",
    ),
    ErrorCode(
        "FLOW-UNBOUND",
        "the route, target or channel of a delivery is no longer configured",
        "Configure it again and replay, or cancel the delivery.",
    ),
    ErrorCode(
        "FLOW-UNWANTED",
        "still no route wants a message that is replayed",
        "carebus route FILE --from CHANNEL says why; mend routes.yaml, reload and replay again.",
    ),
    ErrorCode(
        "STORE-BUSY",
        "another program holds the database",
        "Close the program that has the database open for writing; read it with a copy instead.",
    ),
    ErrorCode(
        "STORE-CLOSED",
        "the message store is not open",
        "The engine starts or stops; try again when /ready says yes.",
    ),
    ErrorCode(
        "STORE-CONSTRAINT",
        "the database refused a row",
        "This is a defect, or the database was changed by hand: report it.",
    ),
    ErrorCode(
        "STORE-CRASH",
        "the engine ended during this send",
        "Ask the receiving system whether it has the message, then carebus replay or cancel.",
    ),
    ErrorCode(
        "STORE-DAMAGED",
        "the database file is damaged",
        "Stop the engine, keep a copy of the data directory, restore the last backup.",
    ),
    ErrorCode(
        "STORE-FENCED",
        "the other engines gave this one up",
        "It was silent for too long, and they went on with what it had in hand; it ends and is to"
        " be started again.  See whether its machine or network stood still.",
    ),
    ErrorCode(
        "STORE-FULL",
        "nothing can be written: the disk is full or read-only",
        "Nothing was acknowledged that is not stored.  Free space on the disk of --data.",
    ),
    ErrorCode(
        "STORE-IN-DOUBT",
        "the connection to the database was lost during a commit",
        "The engine looks as soon as it can, and goes on with what was stored; a sender that sends"
        " again makes a second copy only where the channel has no duplicates: rule.",
    ),
    ErrorCode(
        "STORE-IO",
        "the disk or the database failed",
        "Look at the machine's own log; a disk that fails here loses data soon.",
    ),
    ErrorCode(
        "STORE-LOCKED",
        "another engine is running on this data directory",
        "Two engines on one store would deliver everything twice: stop the other, or give this one"
        " its own directory with --data.",
    ),
    ErrorCode(
        "STORE-NEWER",
        "the database was written by a newer engine",
        "Start that engine again, or restore the backup made before the update.",
    ),
    ErrorCode(
        "STORE-PURGED",
        "the content of this message was deleted",
        "keep: of its channel says how long content is kept; its history is kept longer.",
    ),
    ErrorCode(
        "STORE-REFUSED",
        "the database driver refused a value",
        "This is a defect: report it with the log entry.",
    ),
    ErrorCode(
        "STORE-TRANSITION",
        "a delivery cannot go from its present state to the one asked for",
        "A queued delivery goes out by itself, a sent one cannot be cancelled: carebus messages"
        " show says where it is.",
    ),
    ErrorCode(
        "STORE-UNKNOWN",
        "no message or delivery has this id",
        "It never existed here, or it was deleted after the time that keep: says.",
    ),
    ErrorCode(
        "STORE-URL",
        "CAREBUS_STORE_URL cannot be used",
        "Unset it, or write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE.",
    ),
    ErrorCode(
        "BROKER-BLOCKED",
        "the broker's memory or disk alarm is on: it takes nothing more",
        "Give RabbitMQ's node memory or disk.  Messages are still accepted; they wait in the store"
        " and follow.",
    ),
    ErrorCode(
        "BROKER-CLOSED",
        "the broker is closed",
        "The engine starts or stops; what waits is in the store and goes on after the start.",
    ),
    ErrorCode(
        "BROKER-FULL",
        "a queue holds as much as it may",
        "Nothing is lost: the rest waits in the store and follows.",
    ),
    ErrorCode(
        "BROKER-LEASE-LOST",
        "an envelope was settled twice or too late",
        "This is a defect, except after a broker's restart; the delivery comes again.",
    ),
    ErrorCode(
        "BROKER-LOST",
        "there is no connection to the broker, or it broke",
        "It is tried again, with all hosts in turn.  Messages are still accepted; they wait in the"
        " store and follow.",
    ),
    ErrorCode(
        "BROKER-QUEUE-DIFFERS",
        "a queue of ours exists in the broker with other arguments",
        "An older version or another hand declared it.  Stop the engines, delete the queue that is"
        " named (rabbitmqctl delete_queue NAME) and start: what was in it is in the store.",
    ),
    ErrorCode(
        "BROKER-QUEUE-GONE",
        "a queue of ours was deleted in the broker; it is declared again",
        "Nothing to do: what was in it is in the store and is announced again.",
    ),
    ErrorCode(
        "BROKER-REFUSED",
        "the broker refused an envelope",
        "Look for a policy of RabbitMQ that limits our queues, and remove it.",
    ),
    ErrorCode(
        "BROKER-SILENT",
        "the broker does not answer",
        "Look at RabbitMQ's nodes: a cluster without a majority serves no queue.",
    ),
    ErrorCode(
        "BROKER-UNCONFIRMED",
        "the broker did not confirm in time",
        "It is published again.  Look whether the queue has a leader: a cluster without a majority"
        " serves no queue.",
    ),
    ErrorCode(
        "BROKER-UNROUTABLE",
        "an envelope was published to a queue that does not exist",
        "This is a defect: report it.  The delivery is in the store.",
    ),
    ErrorCode(
        "BROKER-URL",
        "CAREBUS_BROKER_URL cannot be used",
        "Write embedded: or amqp://user:password@host:port/vhost; percent-encode what is special in"
        " a password.",
    ),
    ErrorCode(
        "TLS-CERTIFICATE",
        "a certificate cannot be read, or is not in force",
        "The file must be PEM (BEGIN CERTIFICATE); convert DER with openssl.",
    ),
    ErrorCode(
        "TLS-FILE",
        "a file that the TLS settings name cannot be read",
        "Check the path, which is relative to the project, and that the engine may read it.",
    ),
    ErrorCode(
        "TLS-KEY",
        "the private key cannot be read, or does not fit the certificate",
        "key: must be the private key for which certificate: was made.",
    ),
    ErrorCode(
        "TLS-PASSWORD",
        "the private key's password is missing or wrong",
        "Give key_password: as ${env:…} or ${file:…}.",
    ),
    ErrorCode(
        "TLS-PROFILE",
        "there is no TLS profile of this name",
        "Declare it under profiles: in tls.yaml.",
    ),
    ErrorCode(
        "TLS-SETTINGS",
        "the TLS settings do not fit together",
        "carebus schema tls says what there is; a listener needs a certificate and a key.",
    ),
)

ENGINE_CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType({row.code: row for row in _ROWS})
