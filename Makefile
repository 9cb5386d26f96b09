# make run    install what is missing, prepare the database, serve on http://localhost:8000
# make test   the tests, with coverage
# make check  every linter and the type checker; `make fix` repairs what can be repaired
# make prove  kills, stops and doubles workers: nothing may be lost (PROVE_ARGS='sweep --every 5')
# make bench  the figures; make lock: after a change in requirements*.txt
#
# Paths are relative on purpose: a folder with a space in its name works, and so does `make -C`.

PYTHON ?= python3.11
PYTEST_ARGS ?=
PROVE_ARGS ?=
UV ?= uv
VENV := .venv/bin/python

# Whatever Python environment surrounds us is not ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER DJANGO_SETTINGS_MODULE

.DEFAULT_GOAL := help
.PHONY: help run test check fix prove bench lock runtime development

help:
	@sed -n 's/^# //p' Makefile

# Installs only when the lock file is not the one that was installed last.
define install
	@cmp -s requirements$(1).lock .venv/requirements$(1).lock || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || { echo 'Dashtam needs Python 3.11: make PYTHON=/path/to/python3.11 …' >&2; exit 1; }; \
	  $(PYTHON) -m venv .venv \
	    || { echo 'On Debian: apt-get install python3-venv' >&2; exit 1; }; \
	  $(VENV) -m pip install --quiet --disable-pip-version-check --no-input \
	    --require-hashes -r requirements$(1).lock \
	  && cp requirements$(1).lock .venv/requirements$(1).lock; }
endef

runtime:
	$(call install,)

development:
	$(call install,-dev)

run: runtime
	@$(VENV) -m dashtam.init_env
	@exec $(VENV) manage.py up --prepare

test: development
	$(VENV) -m pytest -n auto --dist worksteal --cov --cov-report=term $(PYTEST_ARGS)

check: development
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -c 'import tests.environment; from mypy.__main__ import console_entry as main; main()'
	$(VENV) -c 'from importlinter.cli import lint_imports_command as main; main()'
	$(VENV) -m djlint --quiet --lint templates
	$(VENV) -m tests.manage check --deploy --fail-level WARNING
	$(VENV) -m tests.manage makemigrations --check --dry-run

fix: development
	$(VENV) -m ruff check --fix .
	$(VENV) -m ruff format .

prove: development
	@$(VENV) -m tests.prove $(PROVE_ARGS)

bench: development
	@$(VENV) -m tests.bench

lock:
	$(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  requirements-dev.txt -o requirements-dev.lock
	$(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  -c requirements-dev.lock requirements.txt -o requirements.lock
