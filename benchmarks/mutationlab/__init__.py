"""Parts of `benchmarks.mutation`."""
