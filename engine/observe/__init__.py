"""What the engine tells its keepers while it runs, never clinical content.

The log is made here.  The metrics are rendered by `engine.api.metrics` from the engine's status, so
that no message pays for them.
"""
