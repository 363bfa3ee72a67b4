import json


def test_models_tells_sizes_and_who_published_what(call):
    _, out, _ = call("models", "--json", "--image-size", 224)
    rows = {row["model"]: row for row in json.loads(out)["models"]}
    assert rows["convnextv2_atto"]["params"] == 3_708_400
    assert rows["convnextv2_atto"]["published_top1_pct"] == 76.64
    assert rows["convnextv1_atto"]["published_top1_pct"] is None
    assert 4.4e9 < rows["convnextv2_tiny"]["macs"] < 4.5e9
    _, text, _ = call("models")
    assert all(name in text for name in rows)
