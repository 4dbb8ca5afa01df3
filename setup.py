"""Only what pyproject.toml cannot say: the cffi module, its compilation, a package elsewhere."""

import os
import shlex
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext


class BuildSideBySide(build_ext):
    """Compiles an extension's sources on all cores; setuptools takes one after the other."""

    def build_extensions(self):
        command = getattr(self.compiler, "compiler_so", None) or ["cc"]
        if not shutil.which(command[0]):
            sys.exit(
                f"rnn's engine is written in C, and the compiler {shlex.join(command[:1])} was not "
                "found: install GCC or Clang (Debian, Ubuntu: apt install gcc; macOS: "
                "xcode-select --install), or name one in CC"
            )
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
