"""Write random_expected.h: what torch draws, for test_random.c, which then runs without torch.

    python tests/c/random_expected.py > tests/c/random_expected.h

For each fill the sizes of SIZES are drawn one after the other from one generator. A fill that
must be equal to the last bit is recorded as the FNV-1a hash of all its bytes, one that goes through
libm in double as its last values. STATE is the hash of the generator's state at the end.
"""

import textwrap
from collections.abc import Callable

import torch
from torch import Tensor

SIZES = (1, 15, 16, 17, 100, 624, 1023, 1025, 5000)
SEEDS = (0, 1337, 2**64 - 1)
f32, f64, i64 = torch.float32, torch.float64, torch.int64

weights = torch.arange(27).float() % 5


def empty(n: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(n, dtype=dtype)


EXACT: dict[str, Callable[[int], Tensor]] = {
    "rand_f32": lambda n: torch.rand(n),
    "rand_f64": lambda n: torch.rand(n, dtype=f64),
    "uniform_f32": lambda n: empty(n, f32).uniform_(-0.3, 1.7),
    "uniform_f64": lambda n: empty(n, f64).uniform_(-0.3, 1.7),
    "uniform_edge_f32": lambda n: empty(n, f32).uniform_(1 - 2**-22, 1),
    "uniform_edge_f64": lambda n: empty(n, f64).uniform_(1 - 2**-51, 1),
    "nothing": lambda n: torch.rand(0),
    "randint": lambda n: torch.randint(-7, 100, (n,)),
    "randint_2_28": lambda n: torch.randint(0, 2**28, (n,)),
    "randint_2_63": lambda n: torch.randint(-(2**63), 2**63 - 1, (n,)),
    "random": lambda n: empty(n, i64).random_(),
    "randperm": lambda n: torch.randperm(n),
    "bernoulli_f32": lambda n: empty(n, f32).bernoulli_(0.3),
    "bernoulli_f64": lambda n: empty(n, f64).bernoulli_(0.3),
    "bernoulli_u8": lambda n: empty(n, torch.uint8).bernoulli_(0.3),
    "bernoulli_array_f32": lambda n: torch.bernoulli(torch.arange(n).float() / n),
    "bernoulli_array_f64": lambda n: torch.bernoulli(torch.arange(n).double() / n),
    "dropout_f32": lambda n: torch.nn.functional.dropout(torch.ones(n), 0.45),
    "dropout_f64": lambda n: torch.nn.functional.dropout(torch.ones(n, dtype=f64), 0.45),
    "multinomial_1": lambda n: torch.cat([torch.multinomial(weights, 1) for _ in range(n)]),
    "multinomial_4": lambda n: torch.cat([torch.multinomial(weights, 4) for _ in range(n)]),
    "multinomial_1_again": lambda n: torch.cat(
        [torch.multinomial(weights, 1, replacement=True) for _ in range(n)]
    ),
    "multinomial_again": lambda n: torch.multinomial(weights, 2 * n, replacement=True),
}
# From 16 elements on float32 normals are exact; fewer go through libm.
BLOCKS: dict[str, Callable[[int], Tensor]] = {
    "randn_f32": lambda n: torch.randn(n),
    "normal_f32": lambda n: empty(n, f32).normal_(-0.3, 1.7),
}
CLOSE: dict[str, Callable[[int], Tensor]] = {
    "randn_f32": lambda n: torch.randn(n),
    "normal_f32": lambda n: empty(n, f32).normal_(-0.3, 1.7),
    "randn_f64": lambda n: torch.randn(n, dtype=f64),
    "normal_f64": lambda n: empty(n, f64).normal_(-0.3, 1.7),
    "normal_serial_f32": lambda n: empty(2 * n, f32)[::2].normal_(-0.3, 1.7),
    "normal_serial_f64": lambda n: empty(2 * n, f64)[::2].normal_(-0.3, 1.7),
    "exponential_f32": lambda n: empty(n, f32).exponential_(1.7),
    "exponential_f64": lambda n: empty(n, f64).exponential_(1.7),
    "cauchy_f32": lambda n: empty(n, f32).cauchy_(0.5, 1.7),
    "cauchy_f64": lambda n: empty(n, f64).cauchy_(0.5, 1.7),
    "log_normal_f32": lambda n: empty(n, f32).log_normal_(0.5, 0.7),
    "log_normal_f64": lambda n: empty(n, f64).log_normal_(0.5, 0.7),
    "geometric_f32": lambda n: empty(n, f32).geometric_(0.3),
    "geometric_f64": lambda n: empty(n, f64).geometric_(0.3),
}


def fnv(data: bytes, value: int = 0xCBF29CE484222325) -> int:
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def state() -> int:
    return fnv(torch.get_rng_state().numpy().tobytes())


def main() -> None:
    print("/* random_expected.h: what torch", torch.__version__.split("+")[0], "draws;")
    print(" * written by random_expected.py. */")
    print("static const int64_t SIZES[] = {" + ", ".join(map(str, SIZES)) + "};")
    print("static const struct {\n    const char *fill;\n    uint64_t seed, hash, state;")
    print("    int64_t least; /* the smallest size that was drawn */\n} EXACT[] = {")
    for least, fills in ((1, EXACT), (16, BLOCKS)):
        for name, fill in fills.items():
            for seed in SEEDS:
                torch.manual_seed(seed)
                value = 0xCBF29CE484222325
                for n in SIZES:
                    if n >= least:
                        value = fnv(fill(n).numpy().tobytes(), value)
                print(f'    {{"{name}", {seed}u, {value:#x}, {state():#x}, {least}}},')
    print("};\nstatic const struct {\n    const char *fill;\n    uint64_t seed;")
    print("    double last[9]; /* of each size */\n} CLOSE[] = {")
    for name, fill in CLOSE.items():
        for seed in SEEDS:
            torch.manual_seed(seed)
            last = ", ".join(repr(float(fill(n)[-1])) for n in SIZES)
            row = f'{{"{name}", {seed}u, {{{last}}}}},'
            print(textwrap.fill(row, 99, initial_indent="    ", subsequent_indent="     "))
    print("};")


if __name__ == "__main__":
    main()
