from types import SimpleNamespace as Of

from support.races import candidate

from edge_convnext.devices.tuning.contest import Contest, Judgement
from edge_convnext.devices.tuning.entrants import Entered
from edge_convnext.devices.tuning.trials import list_trials
from edge_convnext.measure.accuracy import Comparison
from edge_convnext.measure.halving import Lap, Standing

NAMES = ("a.onnx onnxruntime f32", "b.onnx onnxruntime f32", "c.onnx onnxruntime f32",
         "d.onnx onnxruntime f32", "x.onnx onnxruntime f32")  # fmt: skip


def graph(name):
    return Of(name=name, file=f"models/{name}", precision="fp32" if name[0] == "x" else "int8")


UNPACKED = Of(
    manifest=Of(
        graphs=[graph(f"{one}.onnx") for one in "abcdex"],
        member=lambda file: Of(sha256=file[7].encode().hex().rjust(64, "0")),
        search=Of(max_drop_pp=1.0),
    )
)


def test_every_graph_has_a_trial_and_each_says_what_became_of_it():
    found = Entered(lost={"e.onnx openvino": "openvino is not installed here"})
    for name in NAMES:
        precision = "fp32" if name[0] == "x" else "int8"
        found.candidates[name] = candidate(name, None, precision, hint="f32")
        found.graphs[name] = name.partition(" ")[0]
    laps = {name: Lap(1.0, 1.0 + at / 10, (1.0 + at / 10, 2.0), 8) for at, name in enumerate(NAMES)}
    quantized = Standing({name: laps[name] for name in NAMES[:4]}, NAMES[:3], "over")
    floats = Standing({NAMES[4]: laps[NAMES[4]]}, (NAMES[4],), "over")
    judgement = Judgement(
        {NAMES[0]: Comparison(10, 0.5, (0, 1), 0, 0, 99.0, None),
         NAMES[1]: Comparison(10, 2.5, (0, 1), 0, 0, 90.0, None)},
        wrong={NAMES[2]: "computes something else"}, judged=list(NAMES[:3]),
    )  # fmt: skip
    trials = list_trials(
        UNPACKED, found, Contest(quantized, floats, NAMES[:4]), judgement, NAMES[0], "the fastest"
    )
    by_graph = {one.graph[0]: one for one in trials}
    assert trials[0] is by_graph["a"]
    assert [one.won for one in trials].count(True) == 1
    assert (by_graph["a"].reason, by_graph["a"].agreement_pct) == ("the fastest", 99.0)
    assert by_graph["a"].sha256.endswith(b"a".hex())
    assert by_graph["b"].reason.startswith("top-1 drops by 2.50 pp, past 1")
    assert by_graph["c"].reason == "computes something else"
    assert by_graph["d"].reason == "slower: 1.30x [1.30, 2.00]"
    assert by_graph["x"].reason == "a float, which INT8 has to beat"
    assert by_graph["e"].reason == "openvino is not installed here"
    assert (by_graph["e"].runtime, by_graph["e"].latency_ms_p50) == ("openvino", None)
    assert len(trials) == 6
