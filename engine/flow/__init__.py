"""The path of a message: intake, outbox relay, dispatch, supervision, the running engine.

`relays` chooses how deliveries reach their workers: `outbox` for a broker of one process, `shared`
and `sequence` for one that processes share.  `cluster`, `election` and `healing` are what several
processes do together.
"""
