# The commands of the project.  `make demo` and `make test` set up whatever they need.
PY := .venv/bin/python

.PHONY: setup demo check test bench clean

setup: .venv/.installed

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml
	@command -v python3 >/dev/null || { echo "python3 (3.11 or newer) is missing: install it with your package manager"; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt -e .
	@touch $@

# make demo FOR=30s RATE=100
demo: setup
	$(PY) -m engine.demo $(if $(FOR),--for $(FOR)) $(if $(RATE),--rate $(RATE))

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -q tests/unit

test: check
	.venv/bin/pytest -q tests

# make bench ONLY="accept e2e" WRITE=yes
bench: setup
	$(PY) -m bench.run $(ONLY) $(if $(WRITE),--write)
