"""Only what pyproject.toml cannot say: the cffi module, and a package that lies elsewhere."""

from setuptools import find_packages, setup

setup(
    cffi_modules=["rnn/_build.py:ffi"],
    packages=[*find_packages(include=["rnn", "rnn.*"]), "rnn_gpt2"],
    package_dir={"rnn_gpt2": "examples/gpt2"},
)
