"""The operations, a family a file. Each function is PyTorch's function and Tensor's method at once.
"""
