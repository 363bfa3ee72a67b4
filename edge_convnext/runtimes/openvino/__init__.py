"""OpenVINO: the runner, its profiler, its lint rules."""
