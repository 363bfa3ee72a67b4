from edge_convnext.devices.ssh.relay import Relay


def test_pieces_become_whole_lines_and_bytes_are_counted():
    said = []
    relay = Relay(said.append)
    for piece in (b"timing ba", b"tch 1\n\n  ev", "aluating é\n".encode(), b"half"):
        relay.add(piece)
    assert said == ["timing batch 1", "evaluating é"]
    assert relay.last == "evaluating é"
    assert relay.received == 36


def test_a_line_is_new_once():
    relay = Relay(lambda _: None)
    assert not relay.is_new()
    relay.add(b"x")
    assert relay.is_new()
    assert not relay.is_new()


def test_what_a_board_sends_moves_no_cursor():
    said = []
    Relay(said.append).add(b"\x1b[2Jred\xff\n")
    assert "\x1b" not in said[0]
