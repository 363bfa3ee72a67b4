from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.core.errors import EngineBuildError
from edge_convnext.runtimes.tensorrt.native import listen, parse_graph, set_profile


class Logger:
    Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, WARNING=2)

    def __init__(self):
        self.started = True


TRT = SimpleNamespace(ILogger=Logger)


@pytest.mark.parametrize("errors_only", [False, True])
def test_messages_are_kept_and_the_last_error_is_one_line(errors_only):
    heard = listen(TRT, errors_only=errors_only)
    assert heard.last_error == "TensorRT does not say why"
    assert heard.logger.started
    heard.logger.log(2, "a tactic")
    heard.logger.log(1, "it is\n  wrong")
    heard.logger.log(0, "deep")
    assert heard.errors == ["it is wrong", "deep"]
    assert heard.last_error == "deep"
    assert heard.lines == ([] if errors_only else ["a tactic", "it is\n  wrong", "deep"])


class Builder:
    def create_optimization_profile(self):
        self.shapes = []
        return SimpleNamespace(set_shape=lambda *one: self.shapes.append(one))


@pytest.mark.parametrize(("opt", "most", "used"), [(1, 8, 1), (16, 8, 8)])
def test_a_dynamic_batch_gets_a_profile_whose_best_is_within_it(opt, most, used):
    builder, added = Builder(), []
    settings = SimpleNamespace(add_optimization_profile=added.append)
    found = set_profile(builder, settings, SimpleNamespace(name="x", shape=(-1, 3, 4)), opt, most)
    assert found == {"input": "x", "min": [1, 3, 4], "opt": [used, 3, 4], "max": [most, 3, 4]}
    assert builder.shapes == [("x", (1, 3, 4), (used, 3, 4), (most, 3, 4))]
    assert len(added) == 1


def test_a_fixed_batch_needs_none():
    assert set_profile(None, None, SimpleNamespace(name="x", shape=(2, 3)), 1, 8) is None


def api_of(parser, *features):
    module = SimpleNamespace(OnnxParser=lambda network, logger: parser)
    return SimpleNamespace(module=module, has=lambda name: name in features)


class Parser:
    def __init__(self, *errors):
        self.errors, self.num_errors = errors, len(errors)

    def parse_from_file(self, path):
        return path == "good.onnx"

    def get_error(self, place):
        return self.errors[place]


def refusal(api):
    with pytest.raises(EngineBuildError) as caught:
        parse_graph(api, None, SimpleNamespace(logger=None), Path("bad.onnx"))
    return str(caught.value)


def test_a_refusal_names_the_node_as_well_as_the_version_can():
    parse_graph(api_of(Parser()), None, SimpleNamespace(logger=None), Path("good.onnx"))
    named = SimpleNamespace(
        node_name=lambda: "fc", node_operator=lambda: "Gemm", node=lambda: 7,
        desc=lambda: "no\n  good",
    )  # fmt: skip
    assert refusal(api_of(Parser(named), "named_parser_errors")) == (
        "node 'fc' (Gemm) can't be parsed: no good"
    )
    assert refusal(api_of(Parser(named, named, named))) == (
        "node 7 can't be parsed: no good (and 2 more)"
    )
    nowhere = SimpleNamespace(node=lambda: -1, desc=lambda: "bad file")
    assert refusal(api_of(Parser(nowhere))) == "file can't be parsed: bad file"
    assert refusal(api_of(Parser())).endswith("and the parser does not say why")
