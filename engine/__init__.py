"""Carebus: the engine.  Each folder is a room of the house; see docs/architecture.md."""
