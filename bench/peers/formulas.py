# SPDX-License-Identifier: MIT
# The formulas of bench/run, once for all libraries in Python. `m` is a library's module, or an object with the same
# functions by NumPy's names: exp, log, sqrt, tanh, erf, sum, mean, max, transpose ...; each formula takes it first.


def affine(m, x, z):
    return 1.5 * x - 0.5 * z + 0.25


def tanh(m, x):
    return m.tanh(1.5 * x - 0.5)


def gelu(m, x):
    return 0.5 * x * (1 + m.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def wave(m, x, z):
    return m.sqrt(x * x + z * z) * m.exp(-x * x) + z


def total(m, x):
    return m.sum(x)


def mean_square(m, x):
    return m.mean(x * x)


def row_sums(m, x):
    return m.sum(x, axis=1)


def column_sums(m, x):
    return m.sum(x, axis=0)


def column_variance(m, x):
    return m.mean(m.square(x - m.mean(x, axis=0)), axis=0)


def row_argmax(m, x):
    return m.argmax(x, axis=1)


def softmax(m, x):
    e = m.exp(x - m.max(x, axis=1, keepdims=True))
    return e / m.sum(e, axis=1, keepdims=True)


def layer_norm(m, x, gain, offset):
    d = x - m.mean(x, axis=1, keepdims=True)
    return d / m.sqrt(m.mean(d * d, axis=1, keepdims=True) + 1e-5) * gain + offset


def transposed_sum(m, x, z):
    return x.T + z


def outer(m, a, b, c):
    return a[:, None] * b + c


def standardize(m, x, mean, scale):
    return (x - mean) * scale


def heads(m, x, bias):
    return m.transpose(x, (0, 2, 1, 3)) * 0.125 + bias[:, None, :]


def black_scholes(m, price, strike, years):
    """Calls and puts, rate 0.02, volatility 0.30 (Black, Scholes 1973)."""

    def normal(d):
        return 0.5 + 0.5 * m.erf(d * 0.70710678118654752)

    deviation = 0.30 * m.sqrt(years)
    d1 = (m.log(price / strike) + (0.02 + 0.5 * 0.30 * 0.30) * years) / deviation
    discounted = strike * m.exp(-0.02 * years)
    call = price * normal(d1) - discounted * normal(d1 - deviation)
    return call, call - price + discounted


def kernel_matrix(m, x, y):
    """exp(-|x - y|^2) of points with three coordinates, and the sums of its rows; the matrix of squares is a sum over
    coordinates, which no library has to store for itself."""
    squares = sum(m.square(x[:, i][:, None] - y[:, i]) for i in range(3))
    k = m.exp(-squares)
    return k, m.sum(k, axis=1)


# Density of sea water, see bench/sea_water.hpp for formula, coefficients and their source.
V = [None, 9.998420897506056e2, 2.839940833161907e0, -3.147759265588511e-2, 1.181805545074306e-3, -6.698001071123802e0,
     -2.986498947203215e-2, 2.327859407479162e-4, -3.988822378968490e-2, 5.095422573880500e-4, -1.426984671633621e-5,
     1.645039373682922e-7, -2.233269627352527e-2, -3.436090079851880e-4, 3.726050720345733e-6, -1.806789763745328e-4,
     6.876837219536232e-7, -3.087032500374211e-7, -1.988366587925593e-8, -1.061519070296458e-11, 1.550932729220080e-10,
     1.0e0, 2.775927747785646e-3, -2.349607444135925e-5, 1.119513357486743e-6, 6.743689325042773e-10,
     -7.521448093615448e-3, -2.764306979894411e-5, 1.262937315098546e-7, 9.527875081696435e-10, -1.811147201949891e-11,
     -3.303308871386421e-5, 3.801564588876298e-7, -7.672876869259043e-9, -4.634182341116144e-11, 2.681097235569143e-12,
     5.419326551148740e-6, -2.742185394906099e-5, -3.212746477974189e-7, 3.191413910561627e-9, -1.931012931541776e-12,
     -1.105097577149576e-7, 6.211426728363857e-10, -1.119011592875110e-10, -1.941660213148725e-11, -1.864826425365600e-14,
     1.119522344879478e-14, -1.200507748551599e-15, 6.057902487546866e-17]


def horner(x, *coefficients):
    """c0 + x (c1 + x (c2 ...))."""
    *rest, value = coefficients
    for c in reversed(rest):
        value = c + x * value
    return value


def slope(x, *coefficients):
    return horner(x, *(i * c for i, c in list(enumerate(coefficients))[1:]))


def denominator(s, t, p, root):
    return (horner(t, *V[1:5]) + s * (horner(t, *V[5:8]) + root * horner(t, *V[8:12]))
            + p * (horner(t, *V[12:15]) + s * horner(t, *V[15:17]) + p * (horner(t, *V[17:20]) + V[20] * s)))


def numerator(s, t, p, root):
    return (horner(t, *V[21:26]) + s * (horner(t, *V[26:31]) + V[36] * s + root * horner(t, *V[31:36]))
            + p * (horner(t, *V[37:41]) + s * horner(t, *V[41:43])
                   + p * (V[43] + t * (V[44] + V[45] * t + V[46] * s) + p * horner(t, *V[47:49]))))


def density(m, s, t, p):
    root = m.sqrt(s)
    return denominator(s, t, p, root) / numerator(s, t, p, root)


def density_by_hand(m, s, t, p):
    """Density and its derivatives by s, t and p at each point, for libraries without derivatives."""
    root = m.sqrt(s)
    over = 1 / numerator(s, t, p, root)
    rho = denominator(s, t, p, root) * over
    by_s = (horner(t, *V[5:8]) + 1.5 * root * horner(t, *V[8:12]) + p * (horner(t, *V[15:17]) + V[20] * p)
            - rho * (horner(t, *V[26:31]) + 2 * V[36] * s + 1.5 * root * horner(t, *V[31:36])
                     + p * (horner(t, *V[41:43]) + V[46] * p * t))) * over
    by_t = (slope(t, *V[1:5]) + s * (slope(t, *V[5:8]) + root * slope(t, *V[8:12]))
            + p * (slope(t, *V[12:15]) + V[16] * s + p * slope(t, *V[17:20]))
            - rho * (slope(t, *V[21:26]) + s * (slope(t, *V[26:31]) + root * slope(t, *V[31:36]))
                     + p * (slope(t, *V[37:41]) + V[42] * s
                            + p * (V[44] + 2 * V[45] * t + V[46] * s + V[48] * p)))) * over
    by_p = (horner(t, *V[12:15]) + s * horner(t, *V[15:17]) + 2 * p * (horner(t, *V[17:20]) + V[20] * s)
            - rho * (horner(t, *V[37:41]) + s * horner(t, *V[41:43])
                     + p * (2 * V[43] + 2 * t * (V[44] + V[45] * t + V[46] * s) + 3 * p * horner(t, *V[47:49])))) * over
    return rho, by_s, by_t, by_p


# By the names of the tasks. Cross entropy and density_derivatives need the libraries' own derivatives.
FORMULAS = {f.__name__: f for f in (
    affine, tanh, gelu, wave, mean_square, row_sums, column_sums, column_variance, row_argmax, softmax, layer_norm,
    transposed_sum, outer, standardize, heads, black_scholes, kernel_matrix, density)} | {"sum": total}
