"""What holds for every split by seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge_convnext.data.images import Sample
from edge_convnext.data.seeded_splits import split_by_seed


def sample(index: int, label: int, group: str | None = None) -> Sample:
    return Sample(Path(f"{index}.png"), f"{index:064x}", label, group)


plain = st.lists(st.integers(0, 4), min_size=1, max_size=120).map(
    lambda labels: [sample(index, label) for index, label in enumerate(labels)]
)


grouped = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.sampled_from([None, "a", "b", "c", "d"])),
    min_size=1,
    max_size=60,
).map(lambda rows: [sample(content, label, group) for content, label, group in rows])


@given(plain, st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_split_is_stratified_to_the_image(samples, fraction, seed):
    train, val, _ = split_by_seed(samples, fraction, seed)
    assert sorted([*train, *val], key=lambda s: s.sha256) == samples
    sizes, held = Counter(s.label for s in samples), Counter(s.label for s in val)
    for label, size in sizes.items():
        if size == 1:
            assert held[label] == 0
        else:
            assert 1 <= held[label] < size
            assert abs(held[label] - fraction * size) <= 1


@given(grouped, st.floats(0.05, 0.95), st.integers(0, 9))
def test_groups_and_equal_images_stay_on_one_side(samples, fraction, seed):
    train, val, _ = split_by_seed(samples, fraction, seed)
    assert Counter([*train, *val]) == Counter(samples)
    assert not {s.sha256 for s in train} & {s.sha256 for s in val}
    assert not {s.group for s in train if s.group} & {s.group for s in val if s.group}


@given(plain, st.randoms(use_true_random=False), st.integers(0, 9))
def test_a_split_depends_on_content_and_seed_and_not_on_the_order(samples, random, seed):
    shuffled = random.sample(samples, len(samples))
    first, second = split_by_seed(samples, 0.3, seed), split_by_seed(shuffled, 0.3, seed)
    assert {s.sha256 for s in first[1]} == {s.sha256 for s in second[1]}


def test_another_seed_splits_otherwise():
    samples = [sample(index, index % 2) for index in range(40)]
    assert split_by_seed(samples, 0.5, 0)[1] != split_by_seed(samples, 0.5, 1)[1]
