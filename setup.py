"""Only what pyproject.toml cannot say: the cffi module."""

from setuptools import setup

setup(cffi_modules=["rnn/_build.py:ffi"])
