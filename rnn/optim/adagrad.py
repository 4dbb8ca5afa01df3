"""Rules that divide by the root of squared gradients (torch.optim.Adagrad, RMSprop, Adadelta)."""

from __future__ import annotations

from typing import Any

from rnn._c import lib
from rnn.optim.optimizer import Listed, checked, number, one_way, zeros_like
from rnn.tensor import Tensor


class Adagrad(Listed):
    """Divides by the root of the sum of all squared gradients so far (torch.optim.Adagrad).

    Args:
        lr_decay: lr / (1 + (step - 1) * lr_decay).
        initial_accumulator_value: where the sums start.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = Adagrad([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    _rule = lib.RNN_ADAGRAD
    _states = ("sum",)

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        checked("lr", lr)
        checked("lr_decay", lr_decay, "lr_decay value")
        checked("weight_decay", weight_decay, "weight_decay value")
        what = "initial_accumulator_value value"
        checked("initial_accumulator_value", initial_accumulator_value, what)
        checked("eps", eps, "epsilon value")
        one_way(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._new_state(group, p)

    def share_memory(self) -> None:
        """Nothing: memory is not shared between processes."""

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"step": number(0), "sum": zeros_like(p, group["initial_accumulator_value"])}

    def _options(self, group: dict[str, Any]) -> list[float]:
        return [group["lr_decay"], group["eps"]]


class RMSprop(Listed):
    """Divides by the root of a moving average of squared gradients (torch.optim.RMSprop).

    Args:
        alpha: how slowly the average moves.
        centered: of the gradients' variance instead.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = RMSprop([w], lr=0.01)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    _rule = lib.RNN_RMSPROP
    _states = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        checked("lr", lr)
        checked("eps", eps, "epsilon value")
        checked("momentum", momentum, "momentum value")
        checked("weight_decay", weight_decay, "weight_decay value")
        checked("alpha", alpha, "alpha value")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        state = {"step": number(0), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def _options(self, group: dict[str, Any]) -> list[float]:
        return [group["alpha"], group["eps"], group["centered"], group["momentum"]]


class Adadelta(Listed):
    """Moves by the root of past moves over the root of past gradients (torch.optim.Adadelta).

    Args:
        rho: how slowly the two averages move.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = Adadelta([w], lr=1.0)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9968], requires_grad=True)
    """

    _rule = lib.RNN_ADADELTA
    _states = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        checked("lr", lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        checked("eps", eps, "epsilon value")
        checked("weight_decay", weight_decay, "weight_decay value")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"step": number(0), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _options(self, group: dict[str, Any]) -> list[float]:
        return [group["rho"], group["eps"]]
