"""How good the shipped mappings are: measured on the pairs of ``../shared/corpora``.

``make mapping-report`` writes docs/mapping-quality.md; with ``ONLY=`` it prints one corpus and what
is most often missing, too much or different.
"""
