"""From a build to something that runs without this package: Python, C++ or a Triton repository."""
