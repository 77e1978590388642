"""Queues of envelopes between the outbox and the workers: in process (embedded), RabbitMQ later."""
