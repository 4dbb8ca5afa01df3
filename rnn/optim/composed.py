"""Rules that few programs use, written as tensor operations (torch.optim.ASGD, Rprop)."""

from __future__ import annotations

from typing import Any

from rnn.autograd.modes import no_grad
from rnn.optim.optimizer import Listed, checked, number, zeros_like
from rnn.tensor import Tensor


class _Composed(Listed):
    """A subclass says what a step does to one parameter."""

    def _update(
        self, group: dict[str, Any], p: Tensor, grad: Tensor, state: dict[str, Any]
    ) -> None:
        raise NotImplementedError

    def _step_group(self, group: dict[str, Any]) -> None:
        with no_grad():
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(self._new_state(group, p))
                state["step"] += 1
                self._update(group, p, -p.grad if group["maximize"] else p.grad, state)


class Rprop(_Composed):
    """Steps by the gradient's sign, longer while it stays and shorter where it changes (Riedmiller
    and Braun 1993; torch.optim.Rprop).

    Args:
        etas: by what a step's size shrinks and grows.
        step_sizes: the smallest and the largest one.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = Rprop([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        checked("lr", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        size = zeros_like(p, float(group["lr"]))
        return {"step": number(0), "prev": zeros_like(p), "step_size": size}

    def _update(
        self, group: dict[str, Any], p: Tensor, grad: Tensor, state: dict[str, Any]
    ) -> None:
        turn = grad * state["prev"]
        less, more = group["etas"]
        factor = zeros_like(p, 1.0).masked_fill_(turn > 0, more).masked_fill_(turn < 0, less)
        state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        grad = grad.masked_fill(turn < 0, 0.0)
        p.addcmul_(grad.sign(), state["step_size"], value=-1)
        state["prev"].copy_(grad)


class ASGD(_Composed):
    """SGD with an average `ax` of the parameters beside it, in the state (Polyak and Juditsky 1992;
    torch.optim.ASGD).

    Args:
        lambd, alpha: the step's size is lr / (1 + lambd lr step)^alpha; lambd is a decay too.
        t0: after how many steps the average begins.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = ASGD([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.8000], requires_grad=True)
    """

    _scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        checked("lr", lr)
        checked("weight_decay", weight_decay, "weight_decay value")
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        eta = number(float(group["lr"]))
        return {"step": number(0), "eta": eta, "mu": number(1), "ax": zeros_like(p)}

    def _update(
        self, group: dict[str, Any], p: Tensor, grad: Tensor, state: dict[str, Any]
    ) -> None:
        if group["weight_decay"]:
            grad = grad.add(p, alpha=group["weight_decay"])
        lr, lambd, eta = float(group["lr"]), group["lambd"], state["eta"].item()
        p.mul_(1 - lambd * eta).add_(grad, alpha=-eta)
        average, mu = state["ax"], state["mu"].item()
        if mu == 1:
            average.copy_(p)
        else:
            average.add_((p - average) * mu)
        step = state["step"].item()
        state["eta"].fill_(lr / (1 + lambd * lr * step) ** group["alpha"])
        state["mu"].fill_(1 / max(1, step - group["t0"]))
