"""grid_sample and affine_grid: values and gradients of both arguments as PyTorch's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors

import rnn

MODES = "bilinear", "nearest", "bicubic"


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", MODES)
def test_grid_sample(mode, padding, corners):
    def sample(m, image, grid):
        return m.nn.functional.grid_sample(image, grid, mode, padding, corners)

    # the cubic weights of PyTorch's float32 are less exact than these
    one = {"edges": False, "atol": {"float32": 3e-5} if mode == "bicubic" else None}
    for image, grid in (((2, 3, 4, 5), (2, 3, 6, 2)), ((1, 1, 1, 3), (1, 5, 1, 2))):
        compare(sample, image, grid, **one)
        compare(sample, image, 4 * np.random.default_rng(1).standard_normal(grid), **one)
    compare(sample, (2, 0, 3, 3), (2, 4, 4, 2), edges=False)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_volumes(mode, padding):
    def sample(m, volume, grid, corners):
        return m.nn.functional.grid_sample(volume, grid, mode, padding, corners)

    grid = 1.5 * np.random.default_rng(1).standard_normal((2, 3, 2, 4, 3))
    for corners in (True, False):
        compare(lambda m, x, g, c=corners: sample(m, x, g, c), (2, 3, 2, 4, 5), grid, edges=False)


def test_grid_sample_at_pixels_and_borders():
    """Whole places, where floor and the borders' gradients are decided."""
    places = np.array([-1.4, -1, -0.6, -0.2, 0, 0.2, 0.6, 1, 1.4])
    grid = np.stack(np.meshgrid(places, places), -1)[None]
    for of in itertools.product(MODES, ("zeros", "border"), (True, False)):
        compare(
            lambda m, x, g, of=of: m.nn.functional.grid_sample(x, g, *of),
            (1, 2, 5, 5),
            grid,
            edges=False,
            dtypes=["float64"],
        )


def test_grid_sample_at_no_places():
    grid = [[np.nan, 0], [np.inf, 0], [-np.inf, 0.5], [1e30, 0.2], [0.1, np.nan]]
    for of in itertools.product(MODES, ("zeros", "border", "reflection")):
        compare(
            lambda m, x, g, of=of: m.nn.functional.grid_sample(x, g, *of, False),
            (1, 2, 3, 3),
            np.array(grid)[None, None],
            grad=False,
            edges=False,
        )


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 1, 3, 2), (2, 1, 2, 3, 4)])
def test_affine_grid(size, corners):
    d = len(size) - 2
    compare(
        lambda m, theta: m.nn.functional.affine_grid(theta, size, corners),
        (size[0], d, d + 1),
        edges=False,
    )


def test_one_of_each_size():
    with pytest.warns(UserWarning, match="unit-size grids"):
        compare(lambda m, t: m.nn.functional.affine_grid(t, (1, 1, 1, 3), True), (1, 2, 3))
    for m in (torch, rnn):
        with pytest.warns(UserWarning, match="align_corners=False since"):
            m.nn.functional.grid_sample(m.zeros(1, 1, 2, 2), m.zeros(1, 1, 1, 2))


def test_errors():
    def sample(*args):
        return lambda m, x, g: m.nn.functional.grid_sample(x, g, *args, align_corners=False)

    compare_errors(sample("cubic"), (1, 1, 2, 2), (1, 2, 2, 2))
    compare_errors(sample("nearest", "ones"), (1, 1, 2, 2), (1, 2, 2, 2))
    for image, grid in (
        ((1, 1, 2, 2), (2, 2, 2, 2)),
        ((1, 1, 2, 2), (1, 2, 2, 3)),
        ((1, 2, 2), (1, 2, 2, 2)),
        ((1, 1, 0, 2), (1, 2, 2, 2)),
        ((2, 2), (2, 2)),
    ):
        compare_errors(sample(), image, grid)
    compare_errors(lambda m, x, g: sample()(m, x, g.double()), (1, 1, 2, 2), (1, 2, 2, 2))
    for size in ((1, 1, 2), (1, 1, 0, 2), (1, 1, 2, 2, 2)):
        compare_errors(
            lambda m, t, s=size: m.nn.functional.affine_grid(t, s, align_corners=False), (1, 2, 3)
        )
    compare_errors(
        lambda m, t: m.nn.functional.affine_grid(t.long(), (1, 1, 2, 2), align_corners=False),
        (1, 2, 3),
    )
    compare_errors(sample("bicubic"), (1, 1, 2, 2, 2), (1, 2, 2, 2, 3))


def test_a_spatial_transformer_learns_a_shift():
    """The parameters of an affine map are found by gradient descent, as with PyTorch."""
    found = []
    for m in (torch, rnn):
        y, x = m.meshgrid(m.linspace(-1, 1, 12), m.linspace(-1, 1, 12), indexing="ij")
        image = m.exp(-4 * (x * x + y * y))[None, None]
        target = m.exp(-4 * ((x - 0.3) ** 2 + (y + 0.2) ** 2))[None, None]
        shift = m.zeros(2, 1, requires_grad=True)
        optimiser = m.optim.Adam([shift], lr=0.05)
        for _ in range(60):
            theta = m.cat([m.eye(2), shift], 1)[None]
            grid = m.nn.functional.affine_grid(theta, image.shape, align_corners=True)
            made = m.nn.functional.grid_sample(image, grid, align_corners=True)
            optimiser.zero_grad()
            ((made - target) ** 2).mean().backward()
            optimiser.step()
        found.append(shift.detach().numpy().ravel())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3)
    np.testing.assert_allclose(found[1], [-0.3, 0.2], atol=0.02)
