from support.modelled_kernels import kernel, tensor

from edge_convnext.build.tuning.kernel_traffic import find_traffic


def test_what_was_just_written_is_read_from_the_cache_and_large_maps_are_not():
    write = kernel("kgen", [tensor("images", 1000)], [], [tensor("a", 1000)])
    read = kernel("kgen", [tensor("a", 1000)], [tensor("w", 500)], [tensor("logits", 10)])
    size = 2000  # bytes of `a`
    fits = find_traffic([write, read], 8000)
    assert [one.memory_bytes for one in fits] == [size, 0]  # the images are new each time
    assert fits[1].cache_bytes == size + 1000 + 20
    nothing = find_traffic([write, read], 0)
    assert [one.memory_bytes for one in nothing] == [2 * size, size + 1000 + 20]
    assert all(one.cache_bytes == 0 for one in nothing)
    tight = find_traffic([write, read], 1500)  # holds the weights and no map
    assert [one.memory_bytes for one in tight] == [2 * size, size]


def test_what_has_to_leave_the_cache_unread_is_written_and_read_again():
    early = kernel("kgen", [], [], [tensor("a", 1000)])
    other = kernel("kgen", [], [tensor("w", 1000)], [tensor("b", 10)])
    late = kernel("kgen", [tensor("a", 1000), tensor("b", 10)], [], [tensor("c", 10)])
    spilled = find_traffic([early, other, late], 3000)
    result = 20  # of the inference before, which nothing reads
    assert [one.memory_bytes for one in spilled] == [0, 4000 + result, 2000]
