"""Adam and its relatives (torch.optim.Adam, AdamW, Adamax, NAdam, RAdam)."""

from __future__ import annotations

from typing import Any

from rnn._c import lib
from rnn.optim.optimizer import Listed, checked, checked_betas, number, one_way, zeros_like
from rnn.tensor import Tensor


def _check(lr: Any, betas: Any, eps: Any, weight_decay: Any) -> None:
    checked("lr", lr)
    checked("eps", eps, "epsilon value")
    checked_betas(betas)
    checked("weight_decay", weight_decay, "weight_decay value")


class Adam(Listed):
    """Moving averages of the gradient and of its square, both freed of their bias
    (torch.optim.Adam).

    Args:
        params: parameters or groups, see Optimizer.
        lr: the learning rate.
        betas: how slowly the two averages move.
        eps: added to the root of the second.
        weight_decay: g += weight_decay * p; decoupled (AdamW): p *= 1 - lr * weight_decay.
        amsgrad: divides by the largest second average so far.
        maximize: climbs instead.
        foreach, capturable, differentiable, fused: accepted; there is one way, in C.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = Adam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    _rule = lib.RNN_ADAM
    _states = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        _check(lr, betas, eps, weight_decay)
        one_way(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "betas": (float(betas[0]), float(betas[1])),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        state = {"step": number(0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _options(self, group: dict[str, Any]) -> list[float]:
        decoupled, amsgrad = group["decoupled_weight_decay"], group["amsgrad"]
        return [*group["betas"], group["eps"], decoupled, amsgrad]


class AdamW(Adam):
    """Adam whose weight decay is apart from the gradient: p *= 1 - lr * weight_decay
    (torch.optim.AdamW).

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.8500], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class Adamax(Listed):
    """Adam with the largest gradient in the place of the root of the mean square
    (torch.optim.Adamax).

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = Adamax([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    _rule = lib.RNN_ADAMAX
    _states = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check(lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"step": number(0), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _options(self, group: dict[str, Any]) -> list[float]:
        return [*group["betas"], group["eps"]]


class NAdam(Listed):
    """Adam with Nesterov momentum (torch.optim.NAdam).

    Args:
        momentum_decay: how the momentum grows to beta1 over the steps.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = NAdam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.8944], requires_grad=True)
    """

    _rule = lib.RNN_NADAM
    _states = ("exp_avg", "exp_avg_sq", "mu_product")
    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check(lr, betas, eps, weight_decay)
        checked("momentum_decay", momentum_decay, "momentum_decay value")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        averages = {"exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        return {"step": number(0), "mu_product": number(1), **averages}

    def _options(self, group: dict[str, Any]) -> list[float]:
        decoupled = group["decoupled_weight_decay"]
        return [*group["betas"], group["eps"], decoupled, group["momentum_decay"]]


class RAdam(Listed):
    """Adam that adapts only once it knows the variance well enough (torch.optim.RAdam).

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = RAdam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.8000], requires_grad=True)
    """

    _rule = lib.RNN_RADAM
    _states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check(lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"step": number(0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _options(self, group: dict[str, Any]) -> list[float]:
        return [*group["betas"], group["eps"], group["decoupled_weight_decay"]]
