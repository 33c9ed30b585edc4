.PHONY: check packages format-check lint types contracts test fuzz bench format

check: format-check lint types contracts test

format-check:
	ruff format --check .

lint:
	ruff check .

types:
	mypy

contracts:
	lint-imports

test: packages
	python -m pytest -m ''

packages:
	python -c 'import ipykernel, nbclient, nncf' 2>/dev/null || python -m pip install --quiet -e '.[slow]'

fuzz:
	UFORMER_FUZZ_SECONDS=$(or $(SECONDS),600) UFORMER_FUZZ_SEED=$(or $(SEED),1000) python -m pytest -n0 -s tests/image/test_fuzz.py

bench:
	python benchmarks/speed.py
	$(if $(DATA),python benchmarks/quality.py $(DATA),@echo "to measure quality too: make bench DATA=FOLDER")

format:
	ruff format .
	ruff check --fix .
