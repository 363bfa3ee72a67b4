import numpy as np

from edge_convnext.measure.accuracy import Predictions, compare_predictions
from edge_convnext.measure.evaluation import Evaluation


def predictions(right):
    """Of two classes; class 0 is right everywhere."""
    logits = np.stack([np.ones(len(right)), np.where(right, 0.0, 2.0)], axis=1)
    hashes = tuple(f"{n:064x}" for n in range(len(right)))
    return Predictions(logits.astype(np.float32), np.zeros(len(right), np.int64), hashes)


def evaluation(cached=False, seconds=1.0):
    reference, int8 = predictions(np.ones(10, bool)), predictions(np.arange(10) >= 3)
    compared = {"int8": compare_predictions(reference, int8)}
    return Evaluation(reference, {"int8": int8}, compared, cached, seconds)


def test_what_is_joined_took_the_time_of_both_and_is_cached_where_both_were():
    joined = evaluation(True, 1.0).joined(evaluation(False, 2.0))
    assert (joined.cached, joined.seconds) == (False, 3.0)
    assert evaluation(True).joined(evaluation(True)).cached


def test_some_of_the_images_are_compared_anew():
    whole = evaluation()
    assert whole.of(None) is whole
    part = whole.of(np.array([1, 5, 9]))
    assert part.comparisons["int8"].n_images == 3
    assert part.comparisons["int8"].lost == 1
    assert part.options["int8"].sha256s == tuple(f"{n:064x}" for n in (1, 5, 9))
    assert part.reference.logits.shape == (3, 2)
