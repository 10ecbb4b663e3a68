"""The rows of the benchmark. Each module has `NAME`s by which `--only` asks for them, and fills tables."""
