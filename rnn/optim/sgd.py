"""Stochastic gradient descent (torch.optim.SGD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnn._c import E, check, ffi, handles, lib
from rnn.optim.optimizer import Optimizer, checked, evaluate, one_way, zeros_like


class SGD(Optimizer):
    """p -= lr * g, or with momentum m = momentum * m + (1 - dampening) * g; p -= lr * m
    (torch.optim.SGD).

    Args:
        params: parameters or groups, see Optimizer.
        lr: the learning rate.
        momentum: how much of the last move is kept.
        dampening: how much less of the gradient joins the momentum.
        weight_decay: g += weight_decay * p.
        nesterov: looks ahead along the momentum; needs a momentum and no dampening.
        maximize: climbs instead.
        foreach, differentiable, fused: accepted; there is one way, in C.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (w * w).sum().backward()
        ...     optimizer.step()
        >>> w  # 1 - 0.1 * 2 = 0.8; 0.8 - 0.1 * (0.9 * 2 + 1.6) = 0.46
        tensor([0.4600], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        checked("lr", lr)
        checked("momentum", momentum, "momentum value")
        checked("weight_decay", weight_decay, "weight_decay value")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        one_way(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have a gradient. See Optimizer.step."""
        loss = evaluate(closure)
        for group in self.param_groups:
            params = group["params"]
            buffers = self._buffers(params) if group["momentum"] != 0 else ffi.NULL
            options = [
                float(group["lr"]), float(group["weight_decay"]), group["maximize"],
                group["momentum"], group["dampening"], group["nesterov"],
            ]  # fmt: skip
            check(
                lib.rnn_step(
                    E, lib.RNN_SGD, len(params), handles(params), ffi.NULL, buffers, ffi.NULL,
                    ffi.NULL, ffi.new("double[]", options),
                )
            )  # fmt: skip
        return loss

    def _buffers(self, params: list[Any]) -> Any:
        """Handles of the momentum buffers; negated where they hold nothing yet."""
        found = []
        for p in params:
            buffer = self.state[p].get("momentum_buffer") if p in self.state else None
            if buffer is not None:
                found.append(buffer._h)
            elif p.grad is not None:
                buffer = self.state[p]["momentum_buffer"] = zeros_like(p)
                found.append(-buffer._h)
            else:
                found.append(0)
        return ffi.new("rnn_ref[]", found)
