"""`tune` on the device: graphs are made at the desk and raced on the board, and the winner ships.

`graphs` and `gpu_graphs` choose and make them, `tune` is the whole, and `files` writes what was
found. What happens on the board is `devices.tuning`.
"""
