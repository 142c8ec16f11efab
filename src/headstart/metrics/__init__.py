"""How good predictions are, and how sure we may be of it: plain functions on numpy arrays.

Every metric takes `counts (N, R)`: how often each of N items is in each of R resamples. It gives R values at once,
so a thousand-fold bootstrap is a few matrix products. One column of ones is the metric itself.
"""
