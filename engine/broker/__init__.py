"""Queues of envelopes between the outbox and the workers.

`embedded` lives in the engine's process and is refilled from the outbox: the default, nothing to
install.  A broker over the network goes beside it and passes the same suite
(engine.testing.broker).
"""
