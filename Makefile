.PHONY: check format-check lint types contracts test bench format

check: format-check lint types contracts test

format-check:
	ruff format --check .

lint:
	ruff check .

types:
	mypy

contracts:
	lint-imports

test:
	python -m pytest

bench:
	python benchmarks/speed.py
	$(if $(DATA),python benchmarks/quality.py $(DATA),@echo "for quality too: make bench DATA=FOLDER")

format:
	ruff format .
	ruff check --fix .
