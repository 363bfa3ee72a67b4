import pytest

from edge_convnext.core.bounds import batch_bytes, why_no_interval, why_too_large, why_too_long


def test_a_batch_takes_four_bytes_a_value():
    assert batch_bytes(2, 3, 10) == 4 * 2 * 3 * 10 * 10


def test_four_gibibytes_are_taken_and_no_more():
    assert why_too_large(1024, 1, 1024) is None
    said = why_too_large(1025, 1, 1024)
    assert said == (
        "a batch of 1025 images of 1024 px takes 4.3 gigabytes, and at most 4.3 are taken for one; "
        "lower the batch"
    )


@pytest.mark.parametrize(("rounds", "round_ms", "long"), [(3600, 1000, False), (3601, 1000, True)])
def test_an_hour_of_rounds_is_taken_and_no_more(rounds, round_ms, long):
    said = why_too_long(rounds, round_ms)
    assert (said is not None) == long
    assert not long or said.startswith("3601 rounds of 1000 ms are 1.0 hours")


def test_a_rectangle_takes_the_memory_of_both_its_sides():
    assert batch_bytes(2, 3, (64, 96)) == 4 * 2 * 3 * 64 * 96
    assert why_too_large(64, 3, (64, 4096)) is None
    told = why_too_large(4096, 64, (64, 96))
    assert told.startswith("a batch of 4096 images of 64 x 96 px takes 6.4 gigabytes")


def test_rounds_are_too_few_where_their_median_has_no_interval():
    assert why_no_interval(6) is None
    assert why_no_interval(5) == (
        "--rounds 5 is too few for a verdict on speed: with fewer than 6 rounds a speed-up has no "
        "interval. Pass --rounds 6 or more."
    )
