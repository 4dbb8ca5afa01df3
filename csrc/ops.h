/* ops.h: the table of operations, one row each. This is the file to read, and to add to.
 *
 * Three lists make the table: UNARY and BINARY rows carry their formulas, from which
 * elementwise.inc makes the forward and backward kernels for both dtypes and every instruction set;
 * OTHER rows name functions that another file defines.
 *
 *   X(NAME, name, torch_name, needs, forward)(derivative)
 *
 * In the formulas a, b are the operands, z the result, dz its gradient, p the parameters, T the C
 * type, and F(f) the function f for that type. A derivative is the vector-Jacobian product for one
 * element: dz times the local derivative. It is written so that dz alone decides where the
 * derivative is 0 (relu of -1 with dz = inf gives 0, as in PyTorch). */
#ifndef RNN_OPS_H
#define RNN_OPS_H

/* which values a backward kernel reads */
enum {
    RNN_NEEDS_NOTHING = 0,
    RNN_NEEDS_A = 1,
    RNN_NEEDS_B = 2,
    RNN_NEEDS_ALL = 4,  /* every operand's */
    RNN_NEEDS_Z = 8,    /* its own result */
    RNN_COMPOSITE = 16, /* recorded as other operations at scalar resolution */
    RNN_TRIG = 32,  /* reads sin, cos or tan of a: float ones are right up to RNN_TRIG_MAX only */
    RNN_POWER = 64, /* a power: compilers vectorise it where the exponent varies */
    RNN_A_FOR_B = 128, /* a is read for b's gradient alone, as in a product */
    RNN_B_FOR_A = 256,
    RNN_MODULO = 512 /* reads fmod(a, b) */
};

#define C_ RNN_COMPOSITE
#define A_ RNN_NEEDS_A
#define B_ RNN_NEEDS_B
#define Z_ RNN_NEEDS_Z
#define T_ RNN_TRIG
#define P_ RNN_POWER
#define M_ RNN_MODULO
#define N_ RNN_NEEDS_NOTHING
#define X_ (RNN_NEEDS_A | RNN_NEEDS_B | RNN_A_FOR_B | RNN_B_FOR_A)

/* clang-format off */
/*    NAME, name, torch_name, needs, forward, dz times the local derivative */
#define RNN_UNARY_OPS(X) \
    X(ADD_SCALAR, "add_scalar", "AddBackward0", N_, a + p0, dz) \
    X(SUB_SCALAR, "sub_scalar", "SubBackward0", C_ | N_, a - p0, dz) \
    X(RSUB_SCALAR, "rsub_scalar", "RsubBackward1", C_ | N_, p0 - a, -dz) \
    X(MUL_SCALAR, "mul_scalar", "MulBackward0", N_, a * p0, dz * p0) \
    X(DIV_SCALAR, "div_scalar", "DivBackward0", C_ | N_, a / p0, dz / p0) \
    X(RDIV_SCALAR, "rdiv_scalar", "MulBackward0", C_ | A_, (1 / a) * p0, -(dz * p0) * ((1 / a) * (1 / a))) \
    X(POW_SCALAR, "pow_scalar", "PowBackward0", A_ | P_, F(powp)(a, p0, p1), \
      F(powp_d)(a, p0, p1, dz)) \
    X(RPOW_SCALAR, "rpow_scalar", "PowBackward2", C_ | A_ | Z_, F(pow)(p0, a), \
      dz * (p0 == 0 && a >= 0 ? 0 : z * F(log)(p0))) \
    X(NEG, "neg", "NegBackward0", C_ | N_, -a, -dz) \
    X(EXP, "exp", "ExpBackward0", Z_, F(exp)(a), z * dz) \
    X(EXP2, "exp2", "Exp2Backward0", C_ | Z_, F(exp2)(a), dz * z * (T)0.693147180559945309417) \
    X(EXPM1, "expm1", "Expm1Backward0", C_ | Z_, F(expm1)(a), dz * (z + 1)) \
    X(LOG, "log", "LogBackward0", A_, F(log)(a), (1 / a) * dz) \
    X(LOG2, "log2", "Log2Backward0", C_ | A_, F(log2)(a), dz / (a * (T)0.693147180559945309417)) \
    X(LOG10, "log10", "Log10Backward0", C_ | A_, F(log10)(a), dz / (a * (T)2.30258509299404568402)) \
    X(LOG1P, "log1p", "Log1PBackward0", C_ | A_, F(log1p)(a), dz / (a + 1)) \
    X(SQRT, "sqrt", "SqrtBackward0", C_ | Z_, F(sqrt)(a), dz / (2 * z)) \
    X(RSQRT, "rsqrt", "RsqrtBackward0", C_ | Z_, 1 / F(sqrt)(a), ((T)-0.5 * dz) * (z * z * z)) \
    X(ABS, "abs", "AbsBackward0", C_ | A_, F(fabs)(a), a > 0 ? dz : a < 0 ? -dz : dz * 0) \
    X(SIGN, "sign", "SignBackward0", N_, a > 0 ? 1 : a < 0 ? -1 : 0, 0) \
    X(SIN, "sin", "SinBackward0", A_ | T_, F(sin)(a), dz * F(cos)(a)) \
    X(COS, "cos", "CosBackward0", A_ | T_, F(cos)(a), dz * -F(sin)(a)) \
    X(TAN, "tan", "TanBackward0", C_ | Z_ | T_, F(tan)(a), dz * (1 + z * z)) \
    X(ASIN, "asin", "AsinBackward0", A_, F(asin)(a), dz / F(sqrt)(1 - a * a)) \
    X(ACOS, "acos", "AcosBackward0", A_, F(acos)(a), -dz / F(sqrt)(1 - a * a)) \
    X(ATAN, "atan", "AtanBackward0", A_, F(atan)(a), dz / (a * a + 1)) \
    X(SINH, "sinh", "SinhBackward0", C_ | A_, F(sinh)(a), dz * F(cosh)(a)) \
    X(COSH, "cosh", "CoshBackward0", C_ | A_, F(cosh)(a), dz * F(sinh)(a)) \
    X(TANH, "tanh", "TanhBackward0", C_ | Z_, F(tanh)(a), dz * (1 - z * z)) \
    X(ASINH, "asinh", "AsinhBackward0", C_ | A_, F(asinh)(a), dz / F(sqrt)(a * a + 1)) \
    X(ACOSH, "acosh", "AcoshBackward0", C_ | A_, F(acosh)(a), dz / F(sqrt)(a * a - 1)) \
    X(ATANH, "atanh", "AtanhBackward0", C_ | A_, F(atanh)(a), dz / (1 - a * a)) \
    X(SIGMOID, "sigmoid", "SigmoidBackward0", C_ | Z_, F(sigmoid)(a), dz * ((1 - z) * z)) \
    X(LOGSIGMOID, "logsigmoid", "LogSigmoidBackward0", C_ | A_, 0 - F(softplus)(-a), dz * F(sigmoid)(-a)) \
    X(RELU, "relu", "ReluBackward0", Z_, a < 0 ? 0 : a, z <= 0 ? 0 : dz) \
    X(LEAKY_RELU, "leaky_relu", "LeakyReluBackward0", C_ | A_, a > 0 ? a : a * p0, a > 0 ? dz : dz * p0) \
    X(ELU, "elu", "EluBackward0", C_ | A_, a > 0 ? a * p1 : F(expm1)(a) * (p0 * p1), \
      a <= 0 ? dz * (p0 * p1 * F(exp)(a)) : dz * p1) \
    X(GELU, "gelu", "GeluBackward0", C_ | A_, F(gelu)(a), dz * F(gelu_d)(a)) \
    X(GELU_TANH, "gelu_tanh", "GeluBackward0", C_ | A_, F(gelu_tanh)(a), dz * F(gelu_tanh_d)(a)) \
    X(SILU, "silu", "SiluBackward0", C_ | A_, F(silu)(a), dz * F(silu_d)(a)) \
    X(MISH, "mish", "MishBackward0", C_ | A_, a * F(tanh)(F(softplus)(a)), dz * F(mish_d)(a)) \
    X(SOFTPLUS, "softplus", "SoftplusBackward0", C_ | A_, a * p0 > p1 ? a : F(softplus)(a * p0) / p0, \
      a * p0 > p1 ? dz : dz * F(sigmoid)(a * p0)) \
    X(HARDTANH, "hardtanh", "HardtanhBackward0", C_ | A_, a < p0 ? p0 : a > p1 ? p1 : a, \
      a <= p0 || a >= p1 ? 0 : dz) \
    X(HARDSIGMOID, "hardsigmoid", "HardsigmoidBackward0", C_ | A_, \
      (a + 3 < 0 ? 0 : a + 3 > 6 ? 6 : a + 3) / 6, a > -3 && a < 3 ? dz / 6 : 0) \
    X(HARDSWISH, "hardswish", "HardswishBackward0", C_ | A_, a * (a + 3 < 0 ? 0 : a + 3 > 6 ? 6 : a + 3) / 6, \
      a <= -3 ? 0 : a < 3 ? dz * (a / 3 + (T)0.5) : dz) \
    X(HARDSHRINK, "hardshrink", "HardshrinkBackward0", C_ | A_, a >= -p0 && a <= p0 ? 0 : a, \
      a >= -p0 && a <= p0 ? 0 : dz) \
    X(SOFTSHRINK, "softshrink", "SoftshrinkBackward0", C_ | A_, a > p0 ? a - p0 : a < -p0 ? a + p0 : a * 0, \
      a >= -p0 && a <= p0 ? 0 : dz) \
    X(THRESHOLD, "threshold", "ThresholdBackward0", C_ | A_, a <= p0 ? p1 : a, a <= p0 ? 0 : dz) \
    X(ERF, "erf", "ErfBackward0", A_, F(erf)(a), dz * ((T)1.12837916709551257390 * F(exp)(-a * a))) \
    X(ERFC, "erfc", "ErfcBackward0", C_ | A_, F(erfc)(a), -dz * ((T)1.12837916709551257390 * F(exp)(-a * a))) \
    X(ERFINV, "erfinv", "ErfinvBackward0", Z_, F(erfinv)(a), dz * ((T)0.88622692545275801365 * F(exp)(z * z))) \
    X(LGAMMA, "lgamma", "LgammaBackward0", A_, F(lgamma)(a), dz * F(digamma)(a)) \
    X(DIGAMMA, "digamma", "DigammaBackward0", A_, F(digamma)(a), dz * F(polygamma)(a, 1)) \
    X(POLYGAMMA, "polygamma", "PolygammaBackward0", A_, F(polygamma)(a, p0), dz * F(polygamma)(a, p0 + 1)) \
    X(SQUARE, "square", "PowBackward0", C_ | A_, a * a, dz * (2 * a)) \
    X(CUBE, "cube", "PowBackward0", C_ | A_, a * a * a, dz * (3 * (a * a))) \
    X(RECIPROCAL, "reciprocal", "ReciprocalBackward0", C_ | Z_, 1 / a, -dz * (z * z)) \
    X(CLAMP, "clamp", "ClampBackward1", C_ | A_, F(clamp)(a, p0, p1), a >= p0 && a <= p1 ? dz : 0) \
    X(FLOOR, "floor", "FloorBackward0", N_, F(floor)(a), 0) \
    X(CEIL, "ceil", "CeilBackward0", N_, F(ceil)(a), 0) \
    X(ROUND, "round", "RoundBackward0", N_, F(rint)(a), 0) \
    X(TRUNC, "trunc", "TruncBackward0", N_, F(trunc)(a), 0) \
    X(FRAC, "frac", "FracBackward0", N_, a - F(trunc)(a), dz)
/* clang-format on */

/* clang-format off */
/*    NAME, name, torch_name, needs, forward, dz times dz/da, dz times dz/db */
#define RNN_BINARY_OPS(X) \
    X(ADD, "add", "AddBackward0", N_, a + p0 * b, dz, dz * p0) \
    X(SUB, "sub", "SubBackward0", C_ | N_, a - p0 * b, dz, -dz * p0) \
    X(MUL, "mul", "MulBackward0", X_, a * b, b * dz, a * dz) \
    X(DIV, "div", "DivBackward0", C_ | A_ | B_ | RNN_A_FOR_B, a / b, dz / b, -dz * ((a / b) / b)) \
    X(DIV_TRUNC, "div_trunc", "DivBackward1", N_, F(trunc)(a / b), 0, 0) \
    X(DIV_FLOOR, "div_floor", "DivBackward1", N_ | M_, F(floordiv)(F(fmod)(a, b), a, b), 0, 0) \
    X(POW, "pow", "PowBackward1", A_ | B_ | Z_, F(pow)(a, b), b == 0 ? 0 : dz * (b * F(pow)(a, b - 1)), \
      dz * (a == 0 && b >= 0 ? 0 : z * F(log)(a))) \
    X(MAXIMUM, "maximum", "MaximumBackward0", A_ | B_, a > b ? a : b > a ? b : a == b ? a : a + b, \
      a < b ? 0 : a == b ? dz / 2 : dz, b < a ? 0 : a == b ? dz / 2 : dz) \
    X(MINIMUM, "minimum", "MinimumBackward0", C_ | A_ | B_, a < b ? a : b < a ? b : a == b ? a : a + b, \
      a > b ? 0 : a == b ? dz / 2 : dz, b > a ? 0 : a == b ? dz / 2 : dz) \
    X(FMAX, "fmax", "FmaxBackward0", C_ | A_ | B_, a >= b || b != b ? a : b, a >= b || b != b ? dz : 0, \
      a >= b || b != b ? 0 : dz) \
    X(FMIN, "fmin", "FminBackward0", C_ | A_ | B_, a <= b || b != b ? a : b, a <= b || b != b ? dz : 0, \
      a <= b || b != b ? 0 : dz) \
    X(PRELU, "prelu", "PreluKernelBackward0", C_ | A_ | B_, a > 0 ? a : b * a, a > 0 ? dz : b * dz, \
      a > 0 ? 0 : a * dz) \
    X(LERP, "lerp", "LerpBackward0", C_ | N_, p0 < (T)0.5 ? a + p0 * (b - a) : b - (b - a) * (1 - p0), \
      dz * (1 - p0), dz * p0) \
    X(HYPOT, "hypot", "HypotBackward0", C_ | A_ | B_ | Z_, F(hypot)(a, b), dz * (a / z), dz * (b / z)) \
    X(LOGADDEXP, "logaddexp", "LogaddexpBackward0", C_ | A_ | B_, F(logaddexp)(a, b), \
      dz / (1 + F(exp)(b - a)), dz / (1 + F(exp)(a - b))) \
    X(XLOGY, "xlogy", "XlogyBackward0", C_ | A_ | B_, b != b ? b : a == 0 ? 0 : a * F(log)(b), \
      (dz == 0 && b == b) || (a == 0 && b <= 0) ? 0 : dz * F(log)(b), dz * a / b) \
    X(COPYSIGN, "copysign", "CopysignBackward0", A_ | Z_, F(copysign)(a, b), dz * (a == 0 ? 0 : z / a), 0) \
    X(ATAN2, "atan2", "Atan2Backward0", A_ | B_, F(atan2)(a, b), \
      dz * b * (a * a + b * b == 0 ? 0 : 1 / (a * a + b * b)), \
      dz * -a * (a * a + b * b == 0 ? 0 : 1 / (a * a + b * b))) \
    X(FMOD, "fmod", "FmodBackward0", A_ | B_ | M_ | RNN_A_FOR_B, F(fmod)(a, b), dz, -dz * F(trunc)(a / b)) \
    X(REMAINDER, "remainder", "RemainderBackward0", A_ | B_ | M_ | RNN_A_FOR_B, F(remainder)(F(fmod)(a, b), b), dz, \
      -dz * F(floordiv)(F(fmod)(a, b), a, b)) \
    X(MSE_LOSS, "mse_loss", "MseLossBackward0", C_ | A_ | B_, (a - b) * (a - b), dz * (2 * (a - b)), \
      dz * (-2 * (a - b))) \
    X(SMOOTH_L1_LOSS, "smooth_l1_loss", "SmoothL1LossBackward0", C_ | A_ | B_, F(smooth_l1)(a - b, p0), \
      dz * F(clamp)((a - b) / p0, -1, 1), -dz * F(clamp)((a - b) / p0, -1, 1)) \
    X(HUBER_LOSS, "huber_loss", "HuberLossBackward0", C_ | A_ | B_, F(huber)(a - b, p0), \
      dz * F(clamp)(a - b, -p0, p0), -dz * F(clamp)(a - b, -p0, p0)) \
    X(BINARY_CROSS_ENTROPY, "binary_cross_entropy", "BinaryCrossEntropyBackward0", C_ | A_ | B_, \
      (b - 1) * F(above_100)(F(log1p)(-a)) - b * F(above_100)(F(log)(a)), \
      dz * (a - b) / ((1 - a) * a > (T)1e-12 ? (1 - a) * a : (T)1e-12), \
      dz * (F(above_100)(F(log1p)(-a)) - F(above_100)(F(log)(a)))) \
    X(BCE_WITH_LOGITS, "binary_cross_entropy_with_logits", "BinaryCrossEntropyWithLogitsBackward0", C_ | A_ | B_, \
      (1 - b) * a + F(softplus)(-a), dz * (F(sigmoid)(a) - b), -dz * a)
/* clang-format on */

/* clang-format off */
/* NAME, name, torch_name, arity, needs, function: rnn_<function>_backward, _edges and _uses */
#define RNN_OTHER_OPS(X) \
    X(CLONE, "clone", "CloneBackward0", 1, N_, copy) \
    X(CAST, "cast", "ToCopyBackward0", 1, N_, copy) \
    X(ASSIGN, "assign", "CopySlices", 2, N_, assign) \
    X(CAT, "cat", "CatBackward0", -1, N_, cat) \
    X(STACK, "stack", "StackBackward0", -1, N_, cat) \
    X(SUM, "sum", "SumBackward0", 1, C_ | N_, sum) \
    X(SUM_DIM, "sum_dim", "SumBackward1", 1, C_ | N_, sum) \
    X(MEAN, "mean", "MeanBackward0", 1, C_ | N_, sum) \
    X(MEAN_DIM, "mean_dim", "MeanBackward1", 1, C_ | N_, sum) \
    X(VAR, "var", "VarBackward0", 1, C_ | A_, statistic) \
    X(STD, "std", "StdBackward0", 1, C_ | A_ | Z_, statistic) \
    X(VECTOR_NORM, "vector_norm", "LinalgVectorNormBackward0", 1, C_ | A_ | Z_, statistic) \
    X(LOGSUMEXP, "logsumexp", "LogsumexpBackward0", 1, C_ | A_ | Z_, statistic) \
    X(PROD, "prod", "ProdBackward0", 1, C_ | A_ | Z_, statistic) \
    X(PROD_DIM, "prod_dim", "ProdBackward1", 1, C_ | A_ | Z_, statistic) \
    X(AMAX, "amax", "AmaxBackward0", 1, C_ | A_ | Z_, statistic) \
    X(AMIN, "amin", "AminBackward0", 1, C_ | A_ | Z_, statistic) \
    X(MAX, "max", "MaxBackward1", 1, C_ | A_ | Z_, statistic) \
    X(MIN, "min", "MinBackward1", 1, C_ | A_ | Z_, statistic) \
    X(MEDIAN, "median", "MedianBackward0", 1, C_ | A_ | Z_, statistic) \
    X(NANMEDIAN, "nanmedian", "NanmedianBackward0", 1, C_ | A_ | Z_, statistic) \
    X(CUMSUM, "cumsum", "CumsumBackward0", 1, N_, cumsum) \
    X(CUMPROD, "cumprod", "CumprodBackward0", 1, C_ | A_ | Z_, cumprod) \
    X(LOGCUMSUMEXP, "logcumsumexp", "LogcumsumexpBackward0", 1, C_ | A_ | Z_, cumprod) \
    X(GATHER, "gather", "IndexBackward0", 1, N_, gather) \
    X(MAX_DIM, "max_dim", "MaxBackward0", 1, N_, gather) \
    X(MIN_DIM, "min_dim", "MinBackward0", 1, N_, gather) \
    X(MEDIAN_DIM, "median_dim", "MedianBackward1", 1, N_, gather) \
    X(NANMEDIAN_DIM, "nanmedian_dim", "NanmedianBackward1", 1, N_, gather) \
    X(MODE, "mode", "ModeBackward0", 1, N_, gather) \
    X(KTHVALUE, "kthvalue", "KthvalueBackward0", 1, N_, gather) \
    X(SORT, "sort", "SortBackward0", 1, N_, gather) \
    X(STABLE_SORT, "stable_sort", "SortBackward1", 1, N_, gather) \
    X(TOPK, "topk", "TopkBackward0", 1, N_, gather) \
    X(CUMMAX, "cummax", "CummaxBackward0", 1, N_, gather) \
    X(CUMMIN, "cummin", "CumminBackward0", 1, N_, gather) \
    X(SCATTER, "scatter", "IndexPutBackward0", 2, N_, scatter) \
    X(SCATTER_ADD, "scatter_add", "ScatterAddBackward0", 2, N_, scatter) \
    X(WHERE, "where", "WhereBackward0", 2, N_, where) \
    X(MASKED_FILL, "masked_fill", "MaskedFillBackward0", 1, N_, masked_fill) \
    X(MATMUL, "matmul", "MmBackward0", 2, C_ | X_, matmul) \
    X(LINEAR, "linear", "AddmmBackward0", -1, C_ | X_, linear) \
    X(LAYER_NORM, "layer_norm", "NativeLayerNormBackward0", -1, C_ | A_ | B_, layer_norm) \
    X(RMS_NORM, "rms_norm", "FusedRmsNormBackward0", -1, C_ | A_ | B_, layer_norm) \
    X(BATCH_NORM, "batch_norm", "NativeBatchNormBackward0", -1, C_ | A_ | B_, batch_norm) \
    X(CROSS_ENTROPY, "cross_entropy", "NllLossBackward0", 1, C_ | A_, cross_entropy) \
    X(ATTENTION, "attention", "ScaledDotProductFlashAttentionForCpuBackward0", 3, C_ | RNN_NEEDS_ALL | Z_, attention) \
    X(CONV2D, "conv2d", "ConvolutionBackward0", -1, C_ | A_ | B_, conv2d) \
    X(MAX_POOL2D, "max_pool2d", "MaxPool2DWithIndicesBackward0", 1, C_ | N_, max_pool2d) \
    X(AVG_POOL2D, "avg_pool2d", "AvgPool2DBackward0", 1, C_ | N_, avg_pool2d) \
    X(RNN_TANH, "rnn_tanh", "RnnTanhBackward0", -1, C_ | RNN_NEEDS_ALL | Z_, recurrent) \
    X(RNN_RELU, "rnn_relu", "RnnReluBackward0", -1, C_ | RNN_NEEDS_ALL | Z_, recurrent) \
    X(LSTM, "lstm", "LstmBackward0", -1, C_ | RNN_NEEDS_ALL | Z_, recurrent) \
    X(GRU, "gru", "GruBackward0", -1, C_ | RNN_NEEDS_ALL | Z_, recurrent) \
    X(SOFTMAX, "softmax", "SoftmaxBackward0", 1, C_ | Z_, softmax) \
    X(LOG_SOFTMAX, "log_softmax", "LogSoftmaxBackward0", 1, C_ | Z_, log_softmax) \
    X(CUSTOM, "custom", "CustomBackward", -1, N_, custom)
/* clang-format on */

#define RNN_ENUM_(NAME, ...) RNN_OP_##NAME,
enum {
    RNN_OP_LEAF,
    RNN_UNARY_OPS(RNN_ENUM_) RNN_BINARY_OPS(RNN_ENUM_) RNN_OTHER_OPS(RNN_ENUM_) RNN_OP_COUNT
};
#define RNN_FIRST_UNARY (RNN_OP_LEAF + 1)
#define RNN_FIRST_BINARY RNN_OP_ADD
#define RNN_FIRST_OTHER RNN_OP_CLONE

#endif
