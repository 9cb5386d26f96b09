"""Benchmarks: `python -m tests.bench` prints one `name value unit` line per figure."""
