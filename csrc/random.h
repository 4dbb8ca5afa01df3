/*
 * random.h: PyTorch's CPU random stream. The same seed gives the numbers that torch 2.13 gives.
 *
 * What it is: one generator (mt19937 and a spare normal) and the fills that PyTorch's functions
 * make from it, on plain pointers. What it is not: it knows no tensors, shapes or dtypes beyond
 * the type of the pointer, allocates nothing, and takes no lock: the caller has one.
 *
 *     rnn_rng rng;
 *     rnn_rng_seed(&rng, 1337);                   torch.manual_seed(1337)
 *     float x[20];
 *     rnn_randn_f32(&rng, 20, x);                 torch.randn(20)
 *     int64_t ix[4];
 *     rnn_randint_i64(&rng, 0, 100, 4, ix);       torch.randint(0, 100, (4,))
 *
 * How exact, measured against torch 2.13 on x86-64 (tests/c/test_random.c, test_random_stream.py):
 *   - equal: words, randint, randperm, random_, bernoulli, dropout, multinomial, states;
 *   - equal to the last bit: uniforms, and 16 or more float32 normals;
 *   - equal to the last bit with the same libm, else within its last bits (log, log1p, exp, sin,
 *     cos, tan in double): float64 normals, fewer than 16 normals, exponential, cauchy, log_normal,
 *     geometric. The draw that multinomial makes from such numbers could differ once in 10^8.
 * All instruction sets give the same bits here. Torch's own floats differ in the last digits where
 * the processor has no AVX2 and FMA, and (by its source) on arm64; its integers do not.
 *
 * A "word" is one u32. A float32 uniform takes one word and keeps 24 bits of it; a double takes two
 * (the first is the high half) and keeps 53. Torch 2.13 draws nothing from MKL's generators; some
 * releases from 2017 to 2024 did so in dropout, bernoulli_(p), exponential_ and multinomial, on
 * Intel processors at least, and give other numbers there.
 *
 * Order: a tensor whose memory is dense but not in C order is filled in the order of its memory
 * (`torch.empty(3, 4).t().uniform_()` fills as `torch.rand(3, 4)`), and its normals are serial
 * whatever their number (rnn_normal_serial_*). So are rand_like, randn_like, dropout's mask and
 * multinomial's q for such a tensor: empty_like keeps its strides. torch.bernoulli(p) does not:
 * its result is in C order. A view with holes is filled in the order of its strides, normals
 * serially.
 *
 * What the layers above draw, in these terms:
 *   nn.init.uniform_(w, a, b): rnn_uniform. normal_(w, mean, std): rnn_normal.
 *   xavier: std = gain * sqrt(2 / (fan_in + fan_out)); kaiming: std = gain / sqrt(fan), gain =
 *     sqrt(2 / (1 + a^2)) for leaky_relu. _normal_: rnn_normal(0, std); _uniform_:
 *     rnn_uniform(-bound, bound), bound = sqrt(3) * std. All in double, in this order.
 *   trunc_normal_(w, mean, std, a, b): where [a, b] holds more than 0.3 of the normal's mass,
 *     normal_ the tensor; while an element lies outside, normal_ another whole tensor and take from
 *     it what lay outside. Else rounds of two whole uniform_ (candidate, acceptance). Older: one
 *     uniform_ and erfinv.
 *   orthogonal_: normal_(0, 1) of (rows, numel / rows), then QR, columns times sign(diag R).
 *   sparse_: normal_(0, std), then a randperm(rows) for each column, always from the default
 *     generator.
 *   Linear, Conv: kaiming_uniform_(weight, a = sqrt 5), then uniform_(bias, +-1 / sqrt(fan_in)).
 *   Embedding: normal_ (the padding row too, then zeroed). RNN, LSTM, GRU and their cells:
 *     uniform_(+-1 / sqrt(hidden)) of each parameter in order. MultiheadAttention: out_proj as a
 *     Linear (its bias is zeroed later), then xavier_uniform_(in_proj_weight). Norms: nothing.
 *   DataLoader: making an iterator draws a base seed, random_() of an int64, from loader.generator
 *     or the default one. When the first batch is asked for, RandomSampler (shuffle=True) without a
 *     generator draws a second such seed from the default one and takes randperm(n) from a new
 *     generator seeded with it; with a generator it takes randperm(n) from that. An epoch thus
 *     takes 4 words of the default generator, without shuffle 2.
 *   RandomSampler: num_samples // n times randperm(n), and at the end one more, cut off to the rest
 *     (it is drawn even for a rest of 0). replacement=True: randint(0, n, (32,)) num_samples // 32
 *     times, then the rest. SubsetRandomSampler, random_split: one randperm, from the default
 *     generator unless given. WeightedRandomSampler: rnn_multinomial_f64.
 *   distributions: Categorical.sample is multinomial with replacement, Normal.sample is
 *     rnn_normal_arrays.
 */
#ifndef RNN_RANDOM_H
#define RNN_RANDOM_H

#include <stdint.h>

enum { RNN_RNG_N = 624, RNN_RNG_STATE_BYTES = 5056 };

/* Where torch.Generator() starts. (The default generator starts at a number from the system.) */
#define RNN_RNG_DEFAULT_SEED UINT64_C(67280421310721)

/* Codes of the functions that return int. */
enum {
    RNN_RNG_OK = 0,
    RNN_RNG_EVALUE = -1,    /* a parameter out of its range; nothing was drawn */
    RNN_RNG_ENEGATIVE = -2, /* multinomial: a weight below zero */
    RNN_RNG_EINFINITE = -3, /* multinomial: a weight is infinite or NaN */
    RNN_RNG_EZERO = -4,     /* multinomial: the weights add up to nothing */
};

/* torch.Generator. `next` is the place of the next word in `state`; 0 only between a seed and the
 * first draw. The spare float is never drawn by the CPU: it is kept for get_state's sake. */
typedef struct rnn_rng {
    uint64_t seed;
    uint32_t next;
    uint32_t state[RNN_RNG_N];
    uint8_t has_spare_double, has_spare_float;
    double spare_double;
    float spare_float;
} rnn_rng;

/* manual_seed (a negative Python seed is taken modulo 2^64). Drops the spare normals. */
void rnn_rng_seed(rnn_rng *rng, uint64_t seed);

/* Generator.get_state and set_state: torch's own 5,056 bytes, so states can be exchanged.
 * set returns RNN_RNG_EVALUE, and leaves rng alone, if they are no state. */
void rnn_rng_get_state(const rnn_rng *rng, uint8_t bytes[RNN_RNG_STATE_BYTES]);
int rnn_rng_set_state(rnn_rng *rng, const uint8_t bytes[RNN_RNG_STATE_BYTES]);

uint32_t rnn_rng_u32(rnn_rng *rng);
uint64_t rnn_rng_u64(rnn_rng *rng);
double rnn_rng_uniform(rnn_rng *rng);                         /* [0, 1), 53 bits */
double rnn_rng_normal(rnn_rng *rng, double mean, double std); /* with the spare */
void rnn_rng_words(rnn_rng *rng, int64_t n, uint32_t *out);   /* n times rnn_rng_u32, fast */

/* torch.rand and uniform_. */
void rnn_rand_f32(rnn_rng *rng, int64_t n, float *out);
void rnn_rand_f64(rnn_rng *rng, int64_t n, double *out);
int rnn_uniform_f32(rnn_rng *rng, double from, double to, int64_t n, float *out);
int rnn_uniform_f64(rnn_rng *rng, double from, double to, int64_t n, double *out);

/* torch.randn and normal_ of a contiguous tensor. From 16 elements on: uniforms, then blocks of
 * 8 + 8 by Box-Muller in the tensor's own precision; if 16 does not divide n, the last 16 are drawn
 * anew. Below 16: serial. The two do not share the spare. */
void rnn_randn_f32(rnn_rng *rng, int64_t n, float *out);
void rnn_randn_f64(rnn_rng *rng, int64_t n, double *out);
int rnn_normal_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out);
int rnn_normal_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out);
int rnn_normal_serial_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out);
int rnn_normal_serial_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out);

/* torch.normal(mean, std) of two tensors: randn, times std, plus mean (two roundings). With a
 * mean tensor and a number std it is normal_(0, std) plus mean. */
int rnn_normal_arrays_f32(rnn_rng *rng, const float *mean, const float *std, int64_t n, float *out);
int rnn_normal_arrays_f64(rnn_rng *rng, const double *mean, const double *std, int64_t n,
                          double *out);

/* torch.randint, random_(low, high): low <= x < high, for every dtype. A range below 2^28 takes one
 * word an element, else two. */
int rnn_randint_i64(rnn_rng *rng, int64_t low, int64_t high, int64_t n, int64_t *out);

/* random_() of int64: two words, 63 bits. Other dtypes, from rnn_rng_words: int32, int16, int8,
 * uint8: word % (max + 1); bool: word & 1; float32: word % (2^24 + 1); float64:
 * u64 % (2^53 + 1). */
void rnn_random_i64(rnn_rng *rng, int64_t n, int64_t *out);

/* torch.randperm. Below 214,748,364 a forward Fisher-Yates of one word a step, i + word % (n - i);
 * from there on inside out, two words a step. */
int rnn_randperm(rnn_rng *rng, int64_t n, int64_t *out);

/* bernoulli_(p): a double below p, whatever the dtype. */
int rnn_bernoulli_f32(rnn_rng *rng, double p, int64_t n, float *out);
int rnn_bernoulli_f64(rnn_rng *rng, double p, int64_t n, double *out);
int rnn_bernoulli_u8(rnn_rng *rng, double p, int64_t n, uint8_t *out);
/* torch.bernoulli(p), bernoulli_(p tensor): one word for each float32 p, two for each float64. */
int rnn_bernoulli_array_f32(rnn_rng *rng, const float *p, int64_t n, float *out);
int rnn_bernoulli_array_f64(rnn_rng *rng, const double *p, int64_t n, double *out);

/* The factors that F.dropout multiplies with: 0, or 1 / (1 - p) rounded from the dtype's 1 - p.
 * p = 0 and p = 1 draw nothing. dropout1d to 3d draw one factor a channel, (N, C). */
int rnn_dropout_mask_f32(rnn_rng *rng, double p, int64_t n, float *out);
int rnn_dropout_mask_f64(rnn_rng *rng, double p, int64_t n, double *out);

/* exponential_, cauchy_, log_normal_, geometric_: double inside, rounded to the dtype. */
int rnn_exponential_f32(rnn_rng *rng, double lambda, int64_t n, float *out);
int rnn_exponential_f64(rnn_rng *rng, double lambda, int64_t n, double *out);
int rnn_cauchy_f32(rnn_rng *rng, double median, double sigma, int64_t n, float *out);
int rnn_cauchy_f64(rnn_rng *rng, double median, double sigma, int64_t n, double *out);
int rnn_log_normal_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out);
int rnn_log_normal_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out);
int rnn_geometric_f32(rnn_rng *rng, double p, int64_t n, float *out);
int rnn_geometric_f64(rnn_rng *rng, double p, int64_t n, double *out);

/* torch.multinomial of weights p (rows, n), which need not add up to 1; work: n doubles; out
 * (rows, k). Without replacement, and for k = 1: the k largest of p / q, largest first, where q is
 * n draws of exponential_(1), 2 n words a row. Else the sums of p are searched, 2 words a draw. All
 * rows are checked before the first draw. More draws than weights above zero: the rest are the
 * first zeros (torch: some zeros). */
int rnn_multinomial_f32(rnn_rng *rng, const float *p, int64_t rows, int64_t n, int64_t k,
                        int replacement, double *work, int64_t *out);
int rnn_multinomial_f64(rnn_rng *rng, const double *p, int64_t rows, int64_t n, int64_t k,
                        int replacement, double *work, int64_t *out);

#endif
