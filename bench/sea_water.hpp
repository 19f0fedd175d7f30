// SPDX-License-Identifier: MIT
// The density of sea water as a quotient of two polynomials with 48 terms, in numbers or any type of expression.
// Formula and coefficients: IOC, SCOR, IAPSO, The international thermodynamic equation of seawater 2010, appendix A.30
// and K.1; in the form of McDougall, Jackett, Wright, Feistel (J. Atmos. Oceanic Technol. 20, 2003). The coefficients are
// those of pyhpc-benchmarks (github.com/dionhaefner/pyhpc-benchmarks, equation_of_state).
//   s     Absolute Salinity, g/kg; `root` is its square root
//   t     Conservative Temperature, degrees Celsius
//   p     sea pressure, dbar
#pragma once

namespace bench::sea_water {

inline constexpr double v[] = {0,  // from 1, as published
                               9.998420897506056e2,
                               2.839940833161907e0,
                               -3.147759265588511e-2,
                               1.181805545074306e-3,
                               -6.698001071123802e0,
                               -2.986498947203215e-2,
                               2.327859407479162e-4,
                               -3.988822378968490e-2,
                               5.095422573880500e-4,
                               -1.426984671633621e-5,
                               1.645039373682922e-7,
                               -2.233269627352527e-2,
                               -3.436090079851880e-4,
                               3.726050720345733e-6,
                               -1.806789763745328e-4,
                               6.876837219536232e-7,
                               -3.087032500374211e-7,
                               -1.988366587925593e-8,
                               -1.061519070296458e-11,
                               1.550932729220080e-10,
                               1.0e0,
                               2.775927747785646e-3,
                               -2.349607444135925e-5,
                               1.119513357486743e-6,
                               6.743689325042773e-10,
                               -7.521448093615448e-3,
                               -2.764306979894411e-5,
                               1.262937315098546e-7,
                               9.527875081696435e-10,
                               -1.811147201949891e-11,
                               -3.303308871386421e-5,
                               3.801564588876298e-7,
                               -7.672876869259043e-9,
                               -4.634182341116144e-11,
                               2.681097235569143e-12,
                               5.419326551148740e-6,
                               -2.742185394906099e-5,
                               -3.212746477974189e-7,
                               3.191413910561627e-9,
                               -1.931012931541776e-12,
                               -1.105097577149576e-7,
                               6.211426728363857e-10,
                               -1.119011592875110e-10,
                               -1.941660213148725e-11,
                               -1.864826425365600e-14,
                               1.119522344879478e-14,
                               -1.200507748551599e-15,
                               6.057902487546866e-17};

/// Density is `denominator / numerator`, the names of the specific volume. Each is one expression, so that libraries of
/// expression templates may return it.
template <class S, class T, class P, class R>
constexpr auto denominator(const S& s, const T& t, const P& p, const R& root) {
    return v[1] + t * (v[2] + t * (v[3] + v[4] * t)) +
           s * (v[5] + t * (v[6] + v[7] * t) +
                root * (v[8] + t * (v[9] + t * (v[10] + v[11] * t)))) +
           p * (v[12] + t * (v[13] + v[14] * t) + s * (v[15] + v[16] * t) +
                p * (v[17] + t * (v[18] + v[19] * t) + v[20] * s));
}
template <class S, class T, class P, class R>
constexpr auto numerator(const S& s, const T& t, const P& p, const R& root) {
    return v[21] + t * (v[22] + t * (v[23] + t * (v[24] + v[25] * t))) +
           s * (v[26] + t * (v[27] + t * (v[28] + t * (v[29] + v[30] * t))) + v[36] * s +
                root * (v[31] + t * (v[32] + t * (v[33] + t * (v[34] + v[35] * t))))) +
           p * (v[37] + t * (v[38] + t * (v[39] + v[40] * t)) + s * (v[41] + v[42] * t) +
                p * (v[43] + t * (v[44] + v[45] * t + v[46] * s) + p * (v[47] + v[48] * t)));
}

// Derivatives by hand, for those that have no other.
template <class S, class T, class P, class R>
constexpr auto denominator_by_s(const S&, const T& t, const P& p, const R& root) {
    return v[5] + t * (v[6] + v[7] * t) +
           1.5 * root * (v[8] + t * (v[9] + t * (v[10] + v[11] * t))) +
           p * (v[15] + v[16] * t + v[20] * p);
}
template <class S, class T, class P, class R>
constexpr auto denominator_by_t(const S& s, const T& t, const P& p, const R& root) {
    return v[2] + t * (2 * v[3] + 3 * v[4] * t) +
           s * (v[6] + 2 * v[7] * t + root * (v[9] + t * (2 * v[10] + 3 * v[11] * t))) +
           p * (v[13] + 2 * v[14] * t + v[16] * s + p * (v[18] + 2 * v[19] * t));
}
template <class S, class T, class P>
constexpr auto denominator_by_p(const S& s, const T& t, const P& p) {
    return v[12] + t * (v[13] + v[14] * t) + s * (v[15] + v[16] * t) +
           2 * p * (v[17] + t * (v[18] + v[19] * t) + v[20] * s);
}
template <class S, class T, class P, class R>
constexpr auto numerator_by_s(const S& s, const T& t, const P& p, const R& root) {
    return v[26] + t * (v[27] + t * (v[28] + t * (v[29] + v[30] * t))) + 2 * v[36] * s +
           1.5 * root * (v[31] + t * (v[32] + t * (v[33] + t * (v[34] + v[35] * t)))) +
           p * (v[41] + v[42] * t + v[46] * p * t);
}
template <class S, class T, class P, class R>
constexpr auto numerator_by_t(const S& s, const T& t, const P& p, const R& root) {
    return v[22] + t * (2 * v[23] + t * (3 * v[24] + 4 * v[25] * t)) +
           s * (v[27] + t * (2 * v[28] + t * (3 * v[29] + 4 * v[30] * t)) +
                root * (v[32] + t * (2 * v[33] + t * (3 * v[34] + 4 * v[35] * t)))) +
           p * (v[38] + t * (2 * v[39] + 3 * v[40] * t) + v[42] * s +
                p * (v[44] + 2 * v[45] * t + v[46] * s + v[48] * p));
}
template <class S, class T, class P>
constexpr auto numerator_by_p(const S& s, const T& t, const P& p) {
    return v[37] + t * (v[38] + t * (v[39] + v[40] * t)) + s * (v[41] + v[42] * t) +
           p * (2 * v[43] + 2 * t * (v[44] + v[45] * t + v[46] * s) + 3 * p * (v[47] + v[48] * t));
}

}  // namespace bench::sea_water
