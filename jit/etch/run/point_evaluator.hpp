// SPDX-License-Identifier: MIT
// Where a NaN or an infinity came to be: instructions of one part, evaluated at single points of its space by the
// interpreter's functions, so that the op, dtype and rounding are those of the kernel that ran.
#pragma once
#include <bit>
#include <optional>

#include <etch/cpu/executor.hpp>
#include <etch/cpu/interpret_lines.hpp>
#include <etch/run/tensor.hpp>

namespace etch::detail {

/// By the bits, whatever the C++ compiler assumes of floating numbers.
inline bool is_finite(float x) {
    return (std::bit_cast<std::uint32_t>(x) & 0x7F800000u) != 0x7F800000u;
}
inline bool is_finite(double x) {
    return (std::bit_cast<std::uint64_t>(x) & 0x7FF0000000000000u) != 0x7FF0000000000000u;
}
inline bool is_nan(double x) {
    return !is_finite(x) && (std::bit_cast<std::uint64_t>(x) & 0xFFFFFFFFFFFFFu) != 0;
}

/// Element k of memory of dtype d, which is a floating one.
inline double element_at(const std::byte* memory, dtype d, std::int64_t k) {
    if (d == dtype::float64) return reinterpret_cast<const double*>(memory)[k];
    float x = reinterpret_cast<const float*>(memory)[k];
    if (is_finite(x)) return x;
    std::uint32_t bits =
        std::bit_cast<std::uint32_t>(x);  // converted by hand: NaN and infinity must not get lost
    std::uint64_t wide =
        (std::uint64_t{bits >> 31} << 63) | 0x7FF0000000000000u | (bits & 0x7FFFFFu ? 1u : 0u);
    return std::bit_cast<double>(wide);
}
/// The first of n elements that is not finite; n for none.
inline std::int64_t first_not_finite(const std::byte* memory, dtype d, std::int64_t n) {
    auto find = [&](auto zero) {
        const auto* x = reinterpret_cast<const decltype(zero)*>(memory);
        for (std::int64_t i = 0; i < n; i += 1024) {
            auto end = std::min<std::int64_t>(i + 1024, n);
            bool good = true;
            for (auto k = i; k < end; ++k) good &= is_finite(x[k]);
            for (auto k = i; !good && k < end; ++k)
                if (!is_finite(x[k])) return k;
        }
        return n;
    };
    return d == dtype::float64 ? find(double{}) : d == dtype::float32 ? find(float{}) : n;
}

/// Evaluates instructions of one part at single points of its space, by the interpreter's functions, and follows a value
/// that is not finite back to where it came to be.
template <class Table> class point_evaluator {
public:
    struct origin {
        int instruction = -1;
        double result = 0, operands[3]{};
        int count = 0;  // of operands that are known
    };

    point_evaluator(const program_view& program, const part& q, const cpu::kernel_call& call)
        : p_(program),
          part_(q),
          body_(program.bodies[at(q.body)]),
          code_(program.code_of(body_)),
          call_(call),
          stamps_(code_.size(), -1),
          positions_(at(body_.slots) + 1, 0),
          memory_(bytes_per_line() * std::ssize(code_)) {
        frame_.call = &call_;
        frame_.base[0] = frame_.base[1] = frame_.base[2] = memory_.data();
        frame_.scale[0] = frame_.scale[1] = frame_.scale[2] = cpu::register_bytes;
        frame_.slots = body_.slots;
        frame_.vector_axis = -1;
        frame_.row_packs = 1;
        frame_.columns = false;
        frame_.task = 0;
        run_ = {1, 1, 0, 0, 0};
        block_.runs = &run_;
        block_.at = positions_.data();
        block_.count = block_.packs = 1;
    }

    /// Calls f(instruction, element) for each element that the part stores, in the order of the space, with the
    /// evaluator at its point; f returns whether to go on.
    template <class F> bool each_stored(F f) {
        for (int i = 0; i < std::ssize(code_); ++i) {
            const instruction& k = code_[at(i)];
            if (k.what != code::store || !is_floating(k.element)) continue;
            const cpu::bound_slot& s = call_.slots[k.slot];
            bool go_on = each_point(0,
                                    k.at == level::uniform ? 0
                                    : k.at == level::row   ? body_.outer
                                                           : axes(),
                                    [&] {
                                        std::int64_t element = s.offset;
                                        for (int a = 0; a < axes(); ++a)
                                            element += index_[a] * s.strides[a];
                                        return f(i, element);
                                    });
            if (!go_on) return false;
        }
        return true;
    }
    /// Calls f(instruction) at each point at which something is added to memory.
    template <class F> bool each_added(F f) {
        for (int i = 0; i < std::ssize(code_); ++i)
            if (code_[at(i)].what == code::store_add && is_floating(code_[at(i)].element))
                if (!each_point(0, axes(), [&] { return f(i); })) return false;
        return true;
    }

    /// Where value i, which is not finite at this point, came to be. Nothing where it was read from memory, or is an
    /// infinity that stands in the model as a number.
    std::optional<origin> explain(int i) {
        const instruction k = code_[at(i)];
        if (k.what == code::store || k.what == code::store_add) return explain(k.operands[0]);
        double v = value(i);
        if (is_finite(v)) return {};
        if (k.what == code::load || k.what == code::gather) return {};
        if (k.what == code::number)
            return is_nan(v) ? std::optional(origin{i, v, {}, 0}) : std::nullopt;
        origin here{i, v, {}, 0};
        bool finite = true, nan = false;
        if (k.what == code::reduce) {
            std::optional<origin> found;
            auto kept = saved();
            each_reduced(k, [&] {
                double x = value(k.operands[0]);
                if (is_finite(x)) return true;
                finite = false;
                nan = nan || is_nan(x);
                found = explain(k.operands[0]);
                return !found;
            });
            restore(kept);
            if (found) return found;
        } else {
            bool choice = k.what == code::compute && k.op == op_of<where_row>();
            for (int o = 0; o < 3 && k.operands[o] >= 0; ++o) {
                int from = k.operands[o];
                if (choice && (o == 0 || (o == 1) != (value(k.operands[0]) != 0))) continue;
                if (!is_floating(code_[at(from)].element)) continue;
                double x = value(from);
                here.operands[here.count++] = x;
                if (is_finite(x)) continue;
                finite = false;
                nan = nan || is_nan(x);
                if (auto found = explain(from)) return found;
            }
        }
        return finite || (is_nan(v) && !nan) ? std::optional(here) : std::nullopt;
    }

private:
    program_view p_;
    const part& part_;
    body body_;
    std::span<const instruction> code_;
    const cpu::kernel_call& call_;
    std::vector<std::int64_t> stamps_;     // the point (or row) for which a register holds a value
    std::vector<std::int64_t> positions_;  // of the slots
    cpu::aligned_memory memory_;
    cpu::detail::frame frame_;
    cpu::detail::run run_;
    cpu::detail::block block_;
    std::int64_t index_[max_rank]{};

    static constexpr int registers = 5;  // a line's value takes up to two, its accumulator three
    static std::int64_t bytes_per_line() { return registers * cpu::register_bytes; }
    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    static std::size_t at(dtype d) { return static_cast<std::size_t>(d); }
    int axes() const { return body_.outer + body_.inner; }

    std::array<std::int64_t, max_rank> saved() const { return std::to_array(index_); }
    void restore(const std::array<std::int64_t, max_rank>& kept) {
        std::copy(kept.begin(), kept.end(), index_);
    }

    /// Visits all combinations of axes [first, last), the axes behind them at 0, until f returns false.
    template <class F> bool each_point(int first, int last, F f) {
        std::int64_t n = 1;
        for (int a = first; a < last; ++a) n *= call_.extents[a];
        for (std::int64_t k = 0; k < n; ++k) {
            std::int64_t rest = k;
            for (int a = last; a-- > first;) {
                index_[a] = rest % call_.extents[a];
                rest /= call_.extents[a];
            }
            for (int a = last; a < axes(); ++a) index_[a] = 0;
            if (!f()) return false;
        }
        return true;
    }
    template <class F> void each_reduced(const instruction& k, F f) {
        if (k.at == level::row)
            each_point(body_.outer, axes(), f);
        else
            each_point(0, cpu::detail::over(k) == level::row ? body_.outer : axes(), f);
    }
    std::int64_t stamp_of(level l) const {
        std::int64_t n = 0;
        for (int a = 0; l != level::uniform && a < (l == level::row ? body_.outer : axes()); ++a)
            n = n * call_.extents[a] + index_[a];
        return n;
    }

    cpu::detail::line line_of(int i, cpu::detail::line_function f) const {
        const instruction& k = code_[at(i)];
        cpu::detail::line l;
        l.call = f;
        l.index = i;
        l.slot = k.slot;
        l.word = k.word;
        l.result = {level::uniform, registers * i};
        for (int o = 0; o < 3; ++o)
            if (k.operands[o] >= 0) l.operands[o] = {level::uniform, registers * k.operands[o]};
        if (k.what == code::reduce) l.operands[1] = {level::uniform, registers * i + 2};
        return l;
    }
    void call(int i, cpu::detail::line_function f) {
        for (int s = 0; s < body_.slots; ++s) {
            positions_[at(s)] = call_.slots[s].offset;
            for (int a = 0; a < axes(); ++a)
                positions_[at(s)] += index_[a] * call_.slots[s].strides[a];
        }
        f(frame_, line_of(i, f), block_);
    }
    /// Brings value i of this point into its register.
    void compute(int i) {
        const instruction& k = code_[at(i)];
        auto stamp = stamp_of(k.at);
        if (stamps_[at(i)] == stamp) return;
        if (k.what == code::reduce) {
            const auto& functions = Table::reductions[k.op][at(k.from)];
            call(i, functions.begin);
            auto kept = saved();
            std::int64_t n = 0;
            each_reduced(k, [&] {
                compute(k.operands[0]);
                run_.linear = n++;
                call(i, functions.accumulate);
                return true;
            });
            restore(kept);
            call(i, functions.end);
        } else {
            for (int o : k.operands)
                if (o >= 0) compute(o);
            call(i, function_of(k));
        }
        stamps_[at(i)] = stamp;
    }
    cpu::detail::line_function function_of(const instruction& k) const {
        const auto& memory = Table::memory[at(k.element)];
        switch (k.what) {
        case code::load: return memory.load;
        case code::gather:
            return memory.gather[code_[at(k.operands[0])].element == dtype::int64 ? 1 : 0];
        case code::index: return memory.index;
        case code::random: return memory.random;
        case code::number: return memory.number;
        case code::size: return memory.size;
        default: break;
        }
        if (k.op == op_of<cast_row>()) return Table::cast[at(k.from)][at(k.element)];
        return Table::elementwise[k.op][at(k.from)];
    }
    /// As a double: that of a float is NaN or infinite where the float is.
    double value(int i) {
        compute(i);
        const std::byte* r = memory_.data() + i * bytes_per_line();
        return with_element(code_[at(i)].element, [&](auto zero) {
            using T = decltype(zero);
            T x = reinterpret_cast<const cpu::pack<T>*>(r)->get(0);
            if constexpr (std::is_floating_point_v<T>)
                return element_at(reinterpret_cast<std::byte*>(&x), etch::dtype_of<T>, 0);
            else
                return static_cast<double>(x);
        });
    }
};

}  // namespace etch::detail
