import torch
from torch import nn

from edge_convnext.networks.half import HalfBody


class Seen(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, images):
        self.kind = images.dtype
        return images * 2


def test_the_body_is_float16_and_its_borders_float32():
    body = HalfBody(Seen())
    logits = body(torch.full((1, 2), 0.25))
    assert body.body.kind == body.body.linear.weight.dtype == torch.float16
    assert logits.dtype == torch.float32
    assert logits.tolist() == [[0.5, 0.5]]
