"""Rank graph forms and placements for a GPU that is not here, by a model of their kernels.

`work` counts what each kernel of a plan does, `traffic` where its bytes come from, `model` makes
a time of both, `fit` sets the model against measurements; `space` lists what can be tried, and
`search` builds the plans and ranks them. Nothing here times anything.
"""
