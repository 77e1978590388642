"""The errors the store raises, made in one place so that each has its code and its help."""

from __future__ import annotations

from engine.contract import (
    ErrorInfo,
    IllegalTransition,
    Stage,
    State,
    StoreUnavailable,
    UnknownMessage,
)


def unavailable(code: str, summary: str, help: str | None = None) -> StoreUnavailable:
    return StoreUnavailable(ErrorInfo(code, summary, Stage.STORING, help=help))


def unusable(error: OSError) -> StoreUnavailable:
    """The data folder cannot be made, read or measured."""
    return unavailable(
        "STORE-IO",
        f"the data folder cannot be used ({error.strerror})",
        "check that the folder given with --data exists on a working disk and is writable",
    )


def unknown_commit() -> StoreUnavailable:
    return unavailable(
        "STORE-IN-DOUBT",
        "the connection to the database was lost during a commit, and nobody knows whether it was"
        " made",
        "what was sent again is a second copy only where the channel has no duplicates: rule",
    )


def fenced() -> StoreUnavailable:
    return unavailable(
        "STORE-FENCED",
        "the other engines gave this one up, and went on with what it had in hand",
        "start it again; see whether this machine or its network stood still",
    )


def closed() -> StoreUnavailable:
    return unavailable("STORE-CLOSED", "the store is not open")


def illegal(state: str, target: State) -> IllegalTransition:
    summary = f"a delivery that is {state} cannot become {target}"
    return IllegalTransition(ErrorInfo("STORE-TRANSITION", summary, Stage.STORING))


def not_begun(state: str) -> IllegalTransition:
    summary = f"a delivery that is {state} cannot be sent: only a queued one can"
    return IllegalTransition(ErrorInfo("STORE-TRANSITION", summary, Stage.STORING))


def being_sent() -> IllegalTransition:
    return IllegalTransition(
        ErrorInfo(
            "FLOW-SENDING",
            "this delivery is being sent at this moment",
            Stage.STORING,
            help="look at its state again in a moment",
        )
    )


def not_rerouted(state: str) -> IllegalTransition:
    summary = f"a message that is {state} cannot be routed again: only an unrouted or filtered one"
    return IllegalTransition(ErrorInfo("STORE-TRANSITION", summary, Stage.STORING))


def unknown(what: str) -> UnknownMessage:
    return UnknownMessage(ErrorInfo("STORE-UNKNOWN", f"no such {what} is stored", Stage.STORING))


def purged() -> UnknownMessage:
    summary = "the content of this message was deleted by retention"
    return UnknownMessage(ErrorInfo("STORE-PURGED", summary, Stage.STORING))


def crashed() -> ErrorInfo:
    """What `recover` writes for a send that was under way when the engine stopped."""
    return ErrorInfo(
        "STORE-CRASH",
        "the engine stopped during this send",
        Stage.SENDING,
        help="ask the receiving system whether it has the message, then replay or cancel it",
    )
