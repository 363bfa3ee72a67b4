import json


def test_one_device_in_json_has_its_own_rows_and_sources_alone(call):
    code, out, err = call("targets", "orin-nano-8gb", "--json")
    assert (code, err) == (0, "")
    one, every = json.loads(out), json.loads(call("targets", "--json")[1])
    (device,) = one["devices"]
    assert device["name"] == "orin-nano-8gb"
    assert device["delivery"]["kind"] in ("rtx_ahead", "on_board", "onnx_only")
    assert len(every["devices"]) > 1
    for part in ("devices", "jetpacks", "architectures"):
        assert all(row in every[part] for row in one[part])
        assert len(one[part]) < len(every[part])
    assert [row["compute_capability"] for row in one["architectures"]] == ["8.7"]
    assert all(device["family"] in row["families"] for row in one["jetpacks"])
    assert one["sources"].items() < every["sources"].items()


def test_a_device_is_shown_alone(call):
    code, out, err = call("targets", "rtx-4090")
    assert (code, err) == (0, "")
    assert "orin" not in out
    assert "Sources" in out
