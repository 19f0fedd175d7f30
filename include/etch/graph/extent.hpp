// SPDX-License-Identifier: MIT
// Extents: the sizes of axes. An extent is a number, or a polynomial with integer coefficients in named dims; the
// graph stores each polynomial once, so that equal extents have equal codes.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>

#include <etch/graph/flat_list.hpp>

namespace etch {

inline constexpr int max_dims = 16;   // named dims in one model: four bits of a power each
inline constexpr int max_terms = 12;  // terms of one polynomial

/// A size. Codes >= 0 are the number itself; a negative code -1-i is polynomial i of the graph.
struct extent {
    std::int64_t code = 0;
    constexpr bool is_static() const { return code >= 0; }
    constexpr int polynomial() const { return static_cast<int>(-1 - code); }
    constexpr bool operator==(const extent&) const = default;
};

/// coefficient * d0^p0 * d1^p1 ...; the powers take four bits each, so that a product of monomials adds them.
struct term {
    std::int64_t coefficient = 0;
    std::uint64_t powers = 0;
    constexpr bool operator==(const term&) const = default;
};

/// Terms by falling powers, none of them zero. `overflow` marks a result that does not fit.
struct polynomial {
    fixed_list<term, max_terms> terms{};
    int count = 0;
    bool overflow = false;

    constexpr bool operator==(const polynomial&) const = default;
    constexpr bool is_number() const { return count == 0 || (count == 1 && terms[0].powers == 0); }
    constexpr std::int64_t number() const { return count == 0 ? 0 : terms[0].coefficient; }

    static constexpr polynomial of_number(std::int64_t n) {
        polynomial p;
        if (n != 0) p.terms[static_cast<std::size_t>(p.count++)] = {n, 0};
        return p;
    }
    static constexpr polynomial of_dim(int dim) {
        polynomial p;
        p.terms[0] = {1, std::uint64_t{1} << (4 * dim)};
        p.count = 1;
        return p;
    }
    constexpr void add(term t) {
        if (t.coefficient == 0) return;
        auto at = static_cast<std::size_t>(0);
        auto n = static_cast<std::size_t>(count);
        while (at < n && terms[at].powers > t.powers) ++at;
        if (at < n && terms[at].powers == t.powers) {
            terms[at].coefficient += t.coefficient;
            if (terms[at].coefficient != 0) return;
            for (auto i = at + 1; i < n; ++i) terms[i - 1] = terms[i];
            terms[n - 1] = {};
            --count;
            return;
        }
        if (count == max_terms) {
            overflow = true;
            return;
        }
        for (auto i = n; i > at; --i) terms[i] = terms[i - 1];
        terms[at] = t;
        ++count;
    }
    constexpr std::int64_t evaluate(flat_view<const std::int64_t> dims) const {
        std::int64_t sum = 0;
        for (int i = 0; i < count; ++i) {
            std::int64_t product = terms[static_cast<std::size_t>(i)].coefficient;
            auto powers = terms[static_cast<std::size_t>(i)].powers;
            for (std::size_t d = 0; powers != 0; ++d, powers >>= 4)
                for (auto p = powers & 15; p > 0; --p) product *= dims[d];
            sum += product;
        }
        return sum;
    }
};

constexpr polynomial operator+(polynomial a, const polynomial& b) {
    for (int i = 0; i < b.count; ++i) a.add(b.terms[static_cast<std::size_t>(i)]);
    a.overflow |= b.overflow;
    return a;
}
constexpr polynomial operator*(const polynomial& a, const polynomial& b) {
    polynomial r;
    r.overflow = a.overflow || b.overflow;
    for (int i = 0; i < a.count; ++i)
        for (int j = 0; j < b.count; ++j) {
            const term &s = a.terms[static_cast<std::size_t>(i)],
                       &t = b.terms[static_cast<std::size_t>(j)];
            r.add({s.coefficient * t.coefficient, s.powers + t.powers});
        }
    return r;
}
constexpr polynomial operator-(const polynomial& a, const polynomial& b) {
    return a + polynomial::of_number(-1) * b;
}

/// a / b where it is exact, by long division on the leading terms.
constexpr std::optional<polynomial> divide(polynomial a, const polynomial& b) {
    if (b.count == 0) return std::nullopt;
    polynomial quotient;
    while (a.count > 0) {
        const term &s = a.terms[0], &t = b.terms[0];
        for (int d = 0; d < max_dims; ++d)
            if (((s.powers >> (4 * d)) & 15) < ((t.powers >> (4 * d)) & 15)) return std::nullopt;
        if (s.coefficient % t.coefficient != 0) return std::nullopt;
        polynomial step;
        step.add({s.coefficient / t.coefficient, s.powers - t.powers});
        quotient = quotient + step;
        a = a - step * b;
        if (a.overflow || quotient.overflow) return std::nullopt;
    }
    return quotient;
}

}  // namespace etch
