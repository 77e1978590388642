"""Deliberately wrong connectors.  Each is a small sound one with one defect that has been seen in
the field; `test_mutants` says which promises each one breaks, so that the suites are known to bite.
"""
