/* gamma.h: the logarithm of the gamma function, and its derivatives: digamma and polygamma.
 *
 * In double for both types. Large arguments have asymptotic series (Abramowitz and Stegun, 6.3.18
 * and 23.2); smaller ones are brought there by the recurrence, negative ones by reflection or by
 * the same recurrence. At the poles, 0 and the negative whole numbers, the values are PyTorch's.
 * After S. L. Moshier's Cephes (psi.c, zeta.c), as PyTorch's. */
#ifndef RNN_GAMMA_H
#define RNN_GAMMA_H

#include <math.h>

#define RNN_PI 3.14159265358979323846

/* the sum of (k + q)^-s over k >= 0, s > 1: Euler and Maclaurin's, from q >= 9 on */
static inline double f64_zeta(double s, double q) {
    /* (2k)! / B_2k */
    static const double quotients[] = {12.0,
                                       -720.0,
                                       30240.0,
                                       -1209600.0,
                                       47900160.0,
                                       -1.8924375803183791606e9,
                                       7.47242496e10,
                                       -2.950130727918164224e12,
                                       1.1646782814350067249e14,
                                       -4.5979787224074726105e15,
                                       1.8152105401943546773e17,
                                       -7.1661652561756670113e18};
    if (q <= 0 && q == floor(q)) return INFINITY;
    if (q <= 0 && s != floor(s)) return NAN;
    double sum = pow(q, -s), power = 0;
    for (int i = 0; i < 9 || q <= 9; i++) {
        q += 1;
        power = pow(q, -s);
        sum += power;
        if (fabs(power) < 1e-17 * fabs(sum)) return sum;
    }
    sum += power * q / (s - 1) - 0.5 * power;
    double factor = 1;
    for (int k = 0; k < 12; k++) {
        factor *= s + 2 * k;
        power /= q;
        const double term = factor * power / quotients[k];
        sum += term;
        if (fabs(term) < 1e-17 * fabs(sum)) break;
        factor *= s + 2 * k + 1;
        power /= q;
    }
    return sum;
}

static inline double f64_digamma(double x) {
    if (x == 0) return copysign(INFINITY, -x);
    if (x < 0) {
        if (x == floor(x)) return NAN;
        const double part = x - trunc(x);
        return f64_digamma(1 - x) - RNN_PI / tan(RNN_PI * part);
    }
    double sum = 0;
    for (; x < 10; x += 1) sum -= 1 / x;
    const double z = 1 / (x * x);
    double series = 0;
    if (x < 1e17)
        series =
            z *
            (1.0 / 12 -
             z * (1.0 / 120 -
                  z * (1.0 / 252 -
                       z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z * (1.0 / 12)))))));
    return sum + log(x) - 0.5 / x - series;
}

/* the n-th derivative of digamma */
static inline double f64_polygamma(double x, double n) {
    if (n == 0) return f64_digamma(x);
    if (n == 1 && x == INFINITY) return 0;
    if (n == 1 && x < 0.5) {
        const double sine = sin(RNN_PI * (x - trunc(x)));
        return RNN_PI * RNN_PI / (sine * sine) - f64_zeta(2, 1 - x);
    }
    return (fmod(n, 2) != 0 ? 1 : -1) * exp(lgamma(n + 1)) * f64_zeta(n + 1, x);
}

static inline double f64_lgamma(double x) { return lgamma(x); }
static inline float f32_lgamma(float x) { return (float)lgamma(x); }
static inline float f32_digamma(float x) { return (float)f64_digamma(x); }
static inline float f32_polygamma(float x, float n) { return (float)f64_polygamma(x, n); }

#undef RNN_PI

#endif
