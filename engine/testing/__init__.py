"""Conformance suites, scripted peers and in-memory services, shipped with the engine so that the
author of an outside connector runs the same list of promises as ours.

A connector binds a suite in a few lines and supplies a harness (see `engine.testing.harness`)::

    class TestMllpSource(SourceConformance):
        harness = MllpSourceHarness

May import the contract, units and formats of the engine, and is imported by tests only.
"""
