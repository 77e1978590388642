# The commands of the project.  Each sets up what it needs; see CONTRIBUTING.md.
PIP := .venv/bin/pip --disable-pip-version-check --quiet

.PHONY: setup setup-test demo check test bench mapping-report clean

# What the engine itself needs.
setup: .venv/.run

.venv/.run: requirements.txt pyproject.toml .ci/setup
	@.ci/setup run
	@echo "installing Python packages into .venv (about a minute, once)"
	@$(PIP) install -r requirements.txt -e .
	@touch $@

# And what checks, tests and benchmarks need besides.
setup-test: .venv/.test

.venv/.test: .venv/.run requirements-dev.txt tests/install-peers
	@.ci/setup test
	@$(PIP) install -r requirements-dev.txt
	@tests/install-peers
	@touch $@

# A simulated hospital on a real engine: make demo FOR=30s RATE=100 ends by itself with a summary.
demo: setup
	@.venv/bin/python -m engine.demo $(if $(FOR),--for $(FOR)) $(if $(RATE),--rate $(RATE)) $(if $(PORTS),--any-ports)

# Lint, types, unit tests: under two minutes.
check: setup-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -q tests/unit

# And the rest: conformance, integration with real peers, the corpora, faults.
test: check
	.venv/bin/carebus lint . README.md docs/*.md
	.venv/bin/carebus test --min-coverage 95
	.venv/bin/pytest -q -rs tests --ignore tests/unit

# make bench ONLY="accept e2e" runs some sections; WRITE=yes writes docs/performance-figures.md.
bench: setup-test
	.venv/bin/python -m bench.run $(ONLY) $(if $(WRITE),--write)

# How good the shipped mappings are, into docs/mapping-quality.md.  A look at a part instead:
# make mapping-report ONLY="microsoft-v2" TOP=40, PAIR=ID for the values of one pair, MESSAGES=adt
# for validity and ledger of messages.
mapping-report: setup-test
	@.venv/bin/python -m bench.quality $(if $(ONLY),--only "$(ONLY)") $(if $(TOP),--top $(TOP)) $(if $(PAIR),--pair "$(PAIR)") $(if $(MESSAGES),--messages "$(MESSAGES)")

clean:
	rm -rf .venv build var .mypy_cache .ruff_cache .pytest_cache .hypothesis
