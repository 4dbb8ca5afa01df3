"""Only what pyproject.toml cannot say: the cffi module, its compilation, a package elsewhere."""

import os
from concurrent.futures import ThreadPoolExecutor

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext


class BuildSideBySide(build_ext):
    """Compiles an extension's sources on all cores; setuptools takes one after the other."""

    def build_extensions(self):
        compile_some = self.compiler.compile

        def compile_all(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = pool.map(lambda source: compile_some([source], **options), sources)
                return [name for objects in made for name in objects]

        self.compiler.compile = compile_all
        super().build_extensions()


setup(
    include_package_data=False,  # the data is listed in pyproject.toml
    cffi_modules=["rnn/_build.py:ffi"],
    cmdclass={"build_ext": BuildSideBySide},
    packages=[*find_packages(include=["rnn", "rnn.*"]), "rnn_gpt2"],
    package_dir={"rnn_gpt2": "examples/gpt2"},
)
