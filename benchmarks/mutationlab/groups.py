"""Which modules decide what, and the tests that are each one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["GROUPS", "ROOT", "Group"]

ROOT = Path(__file__).parents[2]
_PACKAGE = "edge_convnext"


@dataclass(frozen=True)
class Group:
    """One thing that is decided."""

    name: str
    sources: tuple[str, ...]  # patterns below the package
    own_tests: tuple[str, ...]  # patterns below `tests`
    sampled: bool = True  # otherwise only what `named.yaml` has of it

    def modules(self) -> list[Path]:
        """Source files, as paths below the checkout."""
        return _found(_PACKAGE, self.sources)

    def tests(self) -> list[Path]:
        """Test files, as paths below the checkout."""
        return _found("tests", self.own_tests)


GROUPS = (
    Group("intervals", ("core/intervals.py",), ("core/test_intervals_*.py",)),
    Group("metrics", ("core/metrics.py",), ("core/test_metrics*.py",)),
    Group(
        "verdict",
        ("report/verdict.py", "report/class_drops.py", "report/how_many_more.py"),
        ("report/test_verdict_*.py",),
    ),
    Group("gate", ("report/gate/*.py",), ("report/gate/test_*.py",)),
    Group(
        "evaluation",
        (
            "measure/accuracy.py",
            "build/compare.py",
            "measure/evaluation.py",
            "build/evaluating.py",
            "build/search_images.py",
        ),
        ("measure/test_accuracy*.py", "build/test_compare*.py", "build/test_search_images*.py"),
    ),
    Group(
        "benchmark",
        (
            "measure/benchmark.py",
            "measure/candidates.py",
            "measure/choose.py",
            "measure/race.py",
            "measure/speed.py",
            "measure/timings.py",
            "measure/to_report.py",
            "measure/turns.py",
        ),
        (
            "measure/test_benchmark*.py",
            "measure/test_candidates.py",
            "measure/test_choose*.py",
            "measure/test_race.py",
            "measure/test_speed*.py",
            "measure/test_to_report.py",
        ),
    ),
    Group(
        "splits",
        ("data/splits.py", "data/split_names.py", "data/leaks.py"),
        ("data/test_splits_*.py", "data/test_leaks_*.py"),
    ),
    Group("calibration", ("data/calibration.py",), ("data/test_calibration_*.py",)),
    Group(
        "fold",
        ("stages/fold.py", "networks/convnext/fold.py"),
        ("networks/convnext/test_fold*.py",),
    ),
    # Of these the other tests are of whole exports, and too slow to run for every mutant.
    Group(
        "equalization",
        ("stages/equalize.py", "stages/equalize_factors.py"),
        ("stages/test_equalize_*.py",),
    ),
    Group(
        "Q/DQ",
        ("graph/qdq.py", "stages/place_qdq.py", "graph/ranges.py", "graph/affine.py"),
        ("graph/test_*.py", "stages/test_place_qdq_*.py"),
    ),
    Group(
        "lowering", ("stages/fuse_for_onnxruntime.py",), ("stages/test_fuse_for_onnxruntime_*.py",)
    ),
    Group(
        "float16",
        ("graph/float16.py", "stages/to_float16.py"),
        ("stages/test_to_float16_*.py",),
    ),
    Group("opset", ("stages/to_opset17.py",), ("stages/test_to_opset17_*.py",)),
    Group(
        "cache keys",
        (
            "core/cache.py",
            "core/step.py",
            "build/runner.py",
            "build/float_chain.py",
            "build/int8_chain.py",
        ),
        (
            "core/test_cache.py",
            "core/test_step.py",
            "build/test_runner*.py",
            "build/test_*_chain.py",
        ),
    ),
    Group("bundle", ("devices/bundle/*.py",), ("devices/bundle/test_*.py",)),
    # Beside what the others decide: what a network sees of an image, and its norms. Their tests
    # are of whole images and networks.
    Group(
        "pixels",
        ("data/pixels.py", "data/preprocess.py"),
        ("data/test_preprocess*.py", "data/test_pixels*.py"),
        sampled=False,
    ),
    Group(
        "graph forms",
        ("networks/convnext/forms.py", "networks/convnext/norms.py"),
        ("networks/convnext/test_forms_exact.py", "networks/convnext/test_norms.py"),
        sampled=False,
    ),
    Group("manifest", ("report/manifest.py",), ("report/test_manifest_*.py",)),
)


def _found(folder: str, patterns: tuple[str, ...]) -> list[Path]:
    files = {path for pattern in patterns for path in (ROOT / folder).glob(pattern)}
    named = sorted(path.relative_to(ROOT) for path in files if path.name != "__init__.py")
    if not named:
        raise FileNotFoundError(f"{folder}: nothing matches {' '.join(patterns)}")
    return named
