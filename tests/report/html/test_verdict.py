import pytest
from support.example_report import ACCURACY, BENCHMARK, example_report, without_measurements

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report.html.parts import Limits
from edge_convnext.report.html.verdict import max_drop_pp, verdict_section
from edge_convnext.report.next_steps import next_steps


def section(**changes):
    return verdict_section(example_report(**changes), Limits())


def sentences(found):
    kinds = {"words": lambda one: [one.text], "bullets": lambda one: one.lines}
    return [text for one in found.blocks for text in kinds.get(one.kind, lambda _: [])(one)]


def distance(**changes):
    blocks = section(**changes).blocks
    (block,) = [one for one in blocks if getattr(one, "heading", "").startswith("How far")]
    return block.lines


def test_the_verdict_is_the_first_sentence_and_its_reasons_the_next():
    found = section()
    assert (found.anchor, found.blocks[0].css) == ("verdict", "lead")
    assert found.blocks[0].text == "Ship int8."
    assert found.blocks[1].lines[1] == "Top-1 drops by 0.21 pp."


def test_both_intervals_are_drawn_against_their_limits():
    drop, speed = [one for one in section().blocks if one.kind == "figure"]
    assert drop.table.rows == (("0.21", "-0.62", "1.18", "1"),)
    assert speed.table.rows == (("1.21", "1.18", "1.23", "1"),)
    assert "budget 1.00 pp" in {one.text for one in drop.picture.shapes}


@pytest.mark.parametrize(("lost", "won", "n"), [(2, 1, 4760), (0, 0, 5000), (10, 3, 20_000)])
def test_it_tells_how_many_more_losses_flip_a_shown_verdict(lost, won, n):
    low, high = (100 * end for end in paired_difference_interval(lost, won, n))
    drop = 100 * (lost - won) / n
    changed = {"lost": lost, "won": won, "n_images": n, "top1_drop_pp": drop,
               "top1_drop_ci95_pp": [low, high]}  # fmt: skip
    said = distance(accuracy={**ACCURACY, **changed})
    (line,) = [one for one in said if "no longer shown to be kept" in one]
    more = int(line.split()[1].replace(",", ""))
    assert 100 * paired_difference_interval(lost + more, won, n)[1] > 1.0
    assert 100 * paired_difference_interval(lost + more - 1, won, n)[1] <= 1.0
    (line,) = [one for one in said if "the estimate is past" in one]
    more = int(line.split()[1].replace(",", ""))
    assert 100 * (lost + more - won) / n > 1.0 >= 100 * (lost + more - 1 - won) / n


def test_it_tells_which_budget_and_which_speed_would_flip_it():
    said = distance()
    assert said[0].startswith("Budget: it is shown to be kept at 1.18 pp and above")
    assert "Speed: shown from 1.00x on; it stays shown until it is 18 % slower." in said
    slower = {**BENCHMARK, "speedup_vs_best_float": 0.75, "speedup_vs_best_float_ci95": [0.7, 0.8]}
    assert any("25 % faster, and" in one for one in distance(benchmark=slower))
    near = {**BENCHMARK, "speedup_vs_best_float": 1.0, "speedup_vs_best_float_ci95": [0.9, 1.1]}
    assert any("to both sides of 1" in one for one in distance(benchmark=near))


def test_on_a_busy_machine_it_does_not_tell_by_how_much_the_speed_is_shown():
    busy = {"ship": "int8", "passed": True, "reasons": [], "speed_skewed": "others took 44 %"}
    said = distance(verdict=busy)
    assert "Speed: time it again on a quiet machine; others took 44 %." in said
    assert not [one for one in said if "stays shown" in one]


def test_what_was_not_measured_is_said():
    said = sentences(section(**without_measurements("evaluate", "benchmark")))
    assert "The interval of the top-1 drop was not measured." in said
    assert "The interval of the speed was not measured." in said
    assert "Nothing was measured that a verdict could rest on." in said


def test_notes_and_a_banner_are_there():
    found = section(banner="a demo", notes=["one", "two"])
    assert [one.text for one in found.blocks if getattr(one, "css", "") == "warning"] == ["a demo"]
    assert found.blocks[-1].lines == ("one", "two")
    assert found.blocks[-1].title.startswith("2 notes")


@pytest.mark.parametrize(
    ("stated", "budget"),
    [({}, 1.0), ({"evaluate": None}, 1.0), ({"evaluate": {"max_drop_pp": 0.5}}, 0.5),
     ({"evaluate": {"max_drop_pp": True}}, 1.0), ({"evaluate": {"max_drop_pp": "x"}}, 1.0)],
)  # fmt: skip
def test_the_budget_is_the_recipes(stated, budget):
    assert max_drop_pp(example_report(recipe=stated)) == budget


@pytest.mark.parametrize(
    ("verdict", "advice"),
    [
        ({"ship": "int8", "confidence": "likely", "images_to_show": 730}, "about 730 images"),
        ({"ship": "int8", "confidence": "likely", "rounds_to_show": 90}, "--rounds 90"),
        ({"ship": "int8", "classes_past": ["a", "b", "c", "d"]}, "lost in a, b, c and 1 more"),
    ],
)
def test_it_says_what_to_do_next(verdict, advice):
    blocks = section(verdict={"passed": True, "reasons": [], **verdict}).blocks
    (block,) = [one for one in blocks if getattr(one, "heading", "") == "What to do next"]
    assert advice in " ".join(block.lines)
    assert set(block.lines) >= set(next_steps(example_report(verdict={
        "passed": True, "reasons": [], **verdict})))  # fmt: skip


@pytest.mark.parametrize(
    ("drop", "speed", "colours"),
    [
        ([-0.62, 0.9], [1.18, 1.23], ("good", "good")),
        ([-0.62, 1.18], [0.9, 1.1], ("plain", "plain")),
        ([1.2, 3.1], [0.7, 0.8], ("bad", "bad")),
        ([0.2, 1.0], [0.7, 1.0], ("good", "bad")),  # on the limit
    ],
)
def test_an_interval_is_coloured_and_called_by_its_side_of_the_limit(drop, speed, colours):
    found = section(
        accuracy={**ACCURACY, "top1_drop_pp": drop[1], "top1_drop_ci95_pp": drop},
        benchmark={**BENCHMARK, "speedup_vs_best_float_ci95": speed},
    )
    said = {"good": "wholly on the good side", "plain": "both sides", "bad": "wholly past"}
    pictures = [one.picture for one in found.blocks if one.kind == "figure"]
    for picture, colour in zip(pictures, colours, strict=True):
        assert [one.css for one in picture.shapes if one.kind == "dot"] == [colour]
        assert said[colour] in picture.description
        ((css, words),) = picture.legend
        assert css == colour
        assert said[colour] in words


def test_timings_of_a_busy_machine_look_neither_good_nor_bad():
    busy = {"ship": "int8", "passed": True, "reasons": [], "speed_skewed": "others took 44 %"}
    _, speed = [one.picture for one in section(verdict=busy).blocks if one.kind == "figure"]
    assert [one.css for one in speed.shapes if one.kind == "dot"] == ["plain"]


@pytest.mark.parametrize(
    ("speed", "words"), [("likely", "the speed is only likely"), ("not", "the speed decides")]
)
def test_how_many_images_flip_it_is_told_of_the_accuracy_alone(speed, words):
    verdict = {"ship": "int8", "passed": True, "reasons": [], "accuracy": "shown"}
    first, second, *_ = distance(verdict={**verdict, "speed": speed})
    assert first.startswith("Budget and images below speak of the accuracy alone")
    assert words in first
    assert second.startswith("Budget: ")
    assert not [one for one in distance(verdict={**verdict, "speed": "shown"}) if "alone" in one]


def test_without_a_race_of_every_form_the_speed_is_called_likely():
    (line,) = [
        one
        for one in distance(benchmark={**BENCHMARK, "forms_not_raced": ["linear"]})
        if one.startswith("Speed")
    ]
    assert "only likely: its other forms (linear) were not raced" in line
