"""The simulated hospital: systems that send, systems that receive, and the real engine between
them as a process of its own, which may be killed at any moment.

It stands outside the engine: it may use everything, and nothing uses it but ``make demo``
(``python -m engine.demo``), the benchmarks and the tests.
"""
