"""What float16 can hold."""

__all__ = ["HALF_OPSET", "LARGEST", "SMALLEST_NORMAL"]

LARGEST = 65504.0
SMALLEST_NORMAL = 2.0**-14  # 6.1e-5; below it, bits are lost one by one, down to 6e-8
HALF_OPSET = 20  # QuantizeLinear takes float16 from 19, Gelu is an operation from 20
