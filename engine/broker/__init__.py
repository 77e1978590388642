"""Queues of envelopes between the outbox and the workers.

`embedded` lives in the engine's process and is refilled from the outbox: the default, nothing to
install.  `rabbitmq` is for several processes and nodes.  Both pass the same suite
(engine.testing.broker); `failures` is what they say alike.
"""
