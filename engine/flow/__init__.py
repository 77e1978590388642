"""The path of a message: intake, outbox relay, dispatch, supervision, the running engine."""
