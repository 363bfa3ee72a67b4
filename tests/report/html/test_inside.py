from support.example_report import OV_INT8, STAGES, example_report
from support.gate_builds import sha

from edge_convnext.report.contract import BoardRun
from edge_convnext.report.described import BoardReport, EnergyReport, LeftOutReport
from edge_convnext.report.html.inside import gpu_section, quantization_section, time_section
from edge_convnext.report.html.parts import Limits


def operation(name, share):
    figures = {"alone_sqnr_db": 40.0, "alone_agreement_pct": 99.0, "spared_sqnr_db": 30.0}
    return {"name": name, **figures, "spared_agreement_pct": 98.0, "noise_share_pct": share}


def texts(found):
    return " ".join(one.text for one in found.blocks if one.kind == "words")


def test_a_profile_is_not_recorded_today_and_the_command_is_named():
    assert "not recorded" in texts(time_section(example_report(), Limits()))
    assert "--profile" in texts(time_section(example_report(), Limits()))


def test_sensitivity_is_bars_with_all_operations_behind():
    ranking = {"graph": "conv.inner", "operations": [operation("a", 20.0), operation("b", 80.0)]}
    found = quantization_section(example_report(sensitivity=[ranking]), Limits())
    figure = next(one for one in found.blocks if one.kind == "figure")
    assert [one.text for one in figure.picture.shapes if one.css == "label"] == ["b", "a"]
    assert [cells[0] for cells in figure.table.rows] == ["a", "b"]


def test_a_fallback_says_what_went_back_to_float():
    fallback = {
        "graph": "conv.inner", "kept_float": ["a"], "quantized_ops": 9, "top1_drop_before_pp": 3.0,
        "top1_drop_pp": 0.5, "sensitivity": [operation("a", 90.0), operation("b", 10.0)],
    }  # fmt: skip
    found = quantization_section(example_report(fallbacks=[fallback]), Limits())
    assert found.blocks[0].text == (
        "INT8 conv.inner missed the budget: its drop is 3.00 pp, with it 0.50 pp; 1 of 9 "
        "operations went back to float."
    )
    assert [cells[-1] for cells in found.blocks[1].table.rows] == ["yes", ""]


def test_products_are_found_of_planned():
    products = [{**OV_INT8, "planned_int8_products": 30, "found_int8_products": 28},
                {**OV_INT8, "planned_int8_products": 30, "found_int8_products": None,
                 "reason": "it does not tell"}]  # fmt: skip
    found = quantization_section(example_report(int8_products=products), Limits())
    figure = next(one for one in found.blocks if one.kind == "figure")
    assert "28 of 30" in figure.picture.description
    assert figure.table.rows[1][-1] == "it does not tell"
    none = quantization_section(example_report(), Limits())
    assert "Products in INT8, planned and found: not recorded." in texts(none)


def test_engines_are_listed_with_their_kernels():
    found = gpu_section(example_report(), (), Limits())
    assert found.blocks[0].rows[0][4:6] == ("113", "29")
    assert "No board was measured." in texts(found)


def test_without_engines_that_is_told_once():
    bare = [one for one in STAGES if one["name"] != "engine"]
    bare.insert(-2, {"name": "engine", "status": "not_run", "reason": "no GPU is a target"})
    found = gpu_section(example_report(stages=bare), (), Limits())
    words = [one.text for one in found.blocks]
    assert words == ["Engines and their kernels: no GPU is a target.", "No board was measured."]


def test_boards_stand_side_by_side_with_their_energy():
    one = EnergyReport(
        artifact="x", batch=1, mean_w=7.0, energy_mj_per_image=12.5, images=100, samples=9,
        power_scope="VDD_IN", power_source="ina3221",
    )  # fmt: skip
    whole = example_report()
    runs = [
        BoardRun(
            created=whole.created, environment=whole.environment, accuracy=None, benchmark=None,
            verdict=whole.verdict,
            board=BoardReport(
                name=name, bundle_sha256=sha(0), graphs=(), ships=None, energy=energy,
                left_out=(LeftOutReport(artifact="y", reason="no kernel"),),
            ),
        )
        for name, energy in (("orin", (one,)), ("pi", ()))
    ]  # fmt: skip
    found = gpu_section(whole.model_copy(update={"boards": tuple(runs)}), (), Limits())
    tables = {block.title: block for block in found.blocks if block.kind == "table"}
    assert [cells[0] for cells in tables["Boards side by side"].rows] == ["orin", "pi"]
    assert tables["Power and energy"].rows[0][5] == "12.50"
    assert len(tables["Left out on a board"].rows) == 2
    assert "pi: energy was not measured: not recorded." in texts(found)
