// SPDX-License-Identifier: MIT
// A kernel body as CUDA C++ text: one line for each value, with the user's line of origin. The text depends on the body
// and on a variant alone; extents, strides and pointers come in the argument, whose words cuda/argument.hpp writes in the
// same order. How the lines of each kind are nested is in cuda/emit_body.hpp.
#pragma once
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include <etch/cuda/kernel.hpp>
#include <etch/expr/model.hpp>
#include <etch/ops/table.hpp>
#include <etch/passes/stages.hpp>

namespace etch::cuda {

/// f(word name, kind of word) for each word of a body's argument, in order: what the host writes and the text declares.
enum class word_kind : std::uint8_t { part, scratch, extent, pointer, offset, stride, step, bound };
struct argument_word {
    word_kind kind;
    int slot = -1, axis = -1;
};
/// Strides that the text reads: those of the instruction's own axes, but for a vectorised one that is known to be 0 or 1.
inline bool reads_stride(const body& b, const instruction& i, int axis) {
    int vector_axis = b.kind == body_kind::columns ? b.outer - 1 : b.outer + b.inner - 1;
    int axes = i.at == level::uniform ? 0 : i.at == level::row ? b.outer : b.outer + b.inner;
    return axis < axes && (axis != vector_axis || i.stride > 1);
}
inline bool has_storage(const instruction& i) {
    return i.what == code::load || i.what == code::gather || i.what == code::store ||
           i.what == code::store_add;
}
template <class F> void argument_words(const body& b, std::span<const instruction> lines, F f) {
    f(argument_word{word_kind::part});
    if (etch::detail::scalar_reductions(lines) > 0) f(argument_word{word_kind::scratch});
    for (int a = 0; a < b.outer + b.inner; ++a) f(argument_word{word_kind::extent, -1, a});
    for (const auto& i : lines) {
        if (i.slot < 0) continue;
        f(argument_word{has_storage(i) ? word_kind::pointer : word_kind::offset, i.slot});
        for (int a = 0; a < b.outer + b.inner; ++a)
            if (reads_stride(b, i, a)) f(argument_word{word_kind::stride, i.slot, a});
        if (i.what == code::gather || i.what == code::store_add)
            f(argument_word{word_kind::step, i.slot});
        if (i.what == code::store_add) f(argument_word{word_kind::bound, i.slot});
    }
}

/// Lines of text, indented.
class text_writer {
public:
    void line(std::string_view s, std::string_view comment = {}) {
        if (s.empty()) {
            text_ += '\n';
            return;
        }
        text_.append(s.front() == '#' ? 0 : static_cast<std::size_t>(4 * depth_), ' ').append(s);
        if (!comment.empty()) text_.append("  // ").append(comment);
        text_ += '\n';
    }
    void open(std::string_view s) {
        line(s);
        ++depth_;
    }
    void close(std::string_view s = "}") {
        --depth_;
        line(s);
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
    int depth_ = 0;
};

namespace detail {

inline std::string decimal(auto number) {
    char digits[40];
    auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return {digits, end};
}
/// A constant as text that gives the same bits; infinities and nan by their bits.
inline std::string number_text(dtype d, std::int64_t word) {
    auto floating = [](auto x, const char* end, const char* special) {
        if (!std::isfinite(x)) {
            std::conditional_t<sizeof x == 4, std::int32_t, std::int64_t> bits;
            std::memcpy(&bits, &x, sizeof x);
            return special + ("(" + decimal(bits)) + ")";
        }
        std::string s = decimal(x);
        if (s.find_first_of(".e") == std::string::npos) s += ".0";
        return s + end;
    };
    switch (d) {
    case dtype::float64: return floating(std::bit_cast<double>(word), "", "__longlong_as_double");
    case dtype::float32:
        return floating(static_cast<float>(std::bit_cast<double>(word)), "f", "__int_as_float");
    case dtype::boolean: return word != 0 ? "true" : "false";
    case dtype::int32:
        return word == std::numeric_limits<std::int32_t>::min() ? "(-2147483647 - 1)"
                                                                : decimal(word);
    case dtype::int64: break;
    }
    return word == std::numeric_limits<std::int64_t>::min() ? "(-9223372036854775807LL - 1)"
                                                            : decimal(word) + "LL";
}
template <class T> std::int64_t word_of_value(T x) {
    if constexpr (std::is_floating_point_v<T>)
        return std::bit_cast<std::int64_t>(static_cast<double>(x));
    else
        return static_cast<std::int64_t>(x);
}
template <class Row> std::int64_t neutral_word(dtype d) {
    switch (d) {
    case dtype::float64: return word_of_value(Row::template neutral<double>());
    case dtype::float32: return word_of_value(Row::template neutral<float>());
    case dtype::boolean: return word_of_value(Row::template neutral<bool>());
    case dtype::int32: return word_of_value(Row::template neutral<std::int32_t>());
    case dtype::int64: break;
    }
    return word_of_value(Row::template neutral<std::int64_t>());
}
/// What a reduction of nothing gives, as a word.
template <class... Row> std::int64_t neutral_of(rows<Row...>, op_id op, dtype d) {
    std::int64_t word = 0;
    int found[] = {op == op_of<Row>() ? (word = neutral_word<Row>(d), 1) : 0 ...};
    (void)found;
    return word;
}

}  // namespace detail

/// Names and lines of one body. Subscripts: v values, p packs of them, r running reductions, i indices, s pointers,
/// n extents, t strides, o offsets, g steps of a gathered axis, b its extent where elements are added to it.
class body_text {
public:
    /// `shown` is the part whose lines of origin stand in the comments.
    body_text(const program_view& program, const part& shown, const variant& form)
        : p_(program),
          part_(shown),
          b(program.bodies[at(shown.body)]),
          v(form),
          lines(program.code_of(b)),
          vector_axis(b.kind == body_kind::columns ? b.outer - 1 : b.outer + b.inner - 1) {}

protected:
    const program_view& p_;
    const part& part_;

public:
    const body& b;
    const variant v;
    const std::span<const instruction> lines;
    const int vector_axis;
    text_writer out;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    int count() const { return static_cast<int>(lines.size()); }
    const instruction& line(int i) const { return lines[at(i)]; }
    int axes() const { return b.outer + b.inner; }

    static std::string name(char kind, int i) { return kind + std::to_string(i); }
    static std::string name(char kind, int i, int axis) {
        return name(kind, i) + '_' + std::to_string(axis);
    }
    static std::string type(dtype d) { return std::string(row_of(d).cuda); }
    std::string type_of_running(int i) const {
        std::string t = type(line(i).from);
        return is_argmax(i) ? "etch_best<" + t + ">" : t;
    }
    bool is_argmax(int i) const { return line(i).op == op_of<argmax_row>(); }
    std::string origin(int i) const {
        const program_line& l = p_.lines[at(part_.first_line + i)];
        if (l.file < 0) return {};
        return std::string(base_name(p_.text_of(p_.files[at(l.file)]))) + ':' +
               std::to_string(l.line);
    }

    // ---- the argument ---------------------------------------------------------------------------------------------
    void declare_argument() {
        out.open("struct @_argument {");
        argument_words(b, lines, [&](const argument_word& w) {
            switch (w.kind) {
            case word_kind::part: return out.line("int64 part;");
            case word_kind::scratch: return out.line("int64* scratch;");
            case word_kind::extent: return out.line("int64 " + name('n', w.axis) + ";");
            case word_kind::offset: return out.line("int64 " + name('o', w.slot) + ";");
            case word_kind::stride: return out.line("int64 " + name('t', w.slot, w.axis) + ";");
            case word_kind::step: return out.line("int64 " + name('g', w.slot) + ";");
            case word_kind::bound: return out.line("int64 " + name('b', w.slot) + ";");
            case word_kind::pointer: break;
            }
            const instruction& i = line(instruction_of(w.slot));
            bool written = i.what == code::store || i.what == code::store_add;
            out.line((written ? "" : "const ") + type(i.element) + "* " + name('s', w.slot) + ";");
        });
        out.close("};");
    }
    int instruction_of(int slot) const {
        int i = 0;
        while (line(i).slot != slot) ++i;
        return i;
    }
    /// Extents and strides in the type of the indices.
    void read_argument() {
        out.line(v.wide ? "using index = int64;" : "using index = int;");
        argument_words(b, lines, [&](const argument_word& w) {
            std::string n = w.kind == word_kind::extent             ? name('n', w.axis)
                            : w.kind == word_kind::stride           ? name('t', w.slot, w.axis)
                            : w.kind == word_kind::step             ? name('g', w.slot)
                            : w.kind == word_kind::bound && v.owned ? name('b', w.slot)
                                                                    : "";
            if (!n.empty()) out.line("const index " + n + " = index(a." + n + ");");
        });
    }

    // ---- values ---------------------------------------------------------------------------------------------------
    /// The index of a line's element, in elements after its pointer; `lane` is added along the vectorised axis.
    std::string index_of(int i, std::string_view lane = {}) const {
        const instruction& k = line(i);
        std::string sum;
        auto add = [&](const std::string& term) { sum += (sum.empty() ? "" : " + ") + term; };
        int last = k.at == level::uniform ? 0 : k.at == level::row ? b.outer : axes();
        for (int a = 0; a < last; ++a) {
            std::string x = name('i', a);
            if (a == vector_axis) {
                if (k.stride == 0) continue;
                if (!lane.empty()) x += " + " + std::string(lane);
                if (k.stride == 1) {
                    add(x);
                    continue;
                }
                if (!lane.empty()) x = "(" + x + ")";
            }
            add(x + " * " + name('t', k.slot, a));
        }
        if (k.what == code::gather || k.what == code::store_add)
            add("index(" + name('v', k.operands[k.what == code::gather ? 0 : 1]) + ") * " +
                name('g', k.slot));
        return sum.empty() ? "0" : sum;
    }
    std::string element_at(int i, std::string_view lane = {}) const {
        return "a." + name('s', line(i).slot) + "[" + index_of(i, lane) + "]";
    }
    /// The op table's text with this line's operands.
    std::string filled(int i, std::string_view pattern, std::string_view lane) const {
        const instruction& k = line(i);
        std::string s;
        for (std::size_t c = 0; c < pattern.size(); ++c) {
            if (pattern[c] != '$' || c + 1 == pattern.size()) {
                s += pattern[c];
                continue;
            }
            switch (char what = pattern[++c]; what) {
            case '0':
            case '1':
            case '2': s += name('v', k.operands[what - '0']); break;
            case 't': s += type(k.from); break;
            case 'r': s += type(k.element); break;
            case 'f': s += k.from == dtype::float32 ? "f" : ""; break;
            case 'e': s += std::to_string(k.word); break;
            case 'i': s += "a." + name('o', k.slot) + " + " + index_of(i, lane); break;
            case 'x': s += "failure, int(a.part), " + std::to_string(i); break;
            default: s += what;
            }
        }
        return s;
    }
    /// The right side of a value's line; not of loads of a pack, reductions and stores.
    std::string expression(int i, std::string_view lane = {}) const {
        const instruction& k = line(i);
        switch (k.what) {
        case code::load:
        case code::gather: return element_at(i, lane);
        case code::index: return filled(i, "$r($i)", lane);
        case code::random: return filled(i, row_of_op<random_row>().cuda, lane);
        case code::number: return detail::number_text(k.element, k.word);
        case code::size: return filled(i, "$r(a.o", lane) + std::to_string(k.slot) + ")";
        case code::compute: return filled(i, op_table[k.op].cuda, lane);
        default: return {};
        }
    }
    template <class Row> static const op_row& row_of_op() { return op_table[op_of<Row>()]; }
    std::string declared(int i, std::string_view lane = {}) const {
        return "const " + type(line(i).element) + " " + name('v', i) + " = " + expression(i, lane) +
               ";";
    }
    void value(int i, std::string_view lane = {}) {
        std::string comment = origin(i);
        if (line(i).what == code::compute)
            comment =
                std::string(op_table[line(i).op].name) + (comment.empty() ? "" : " " + comment);
        out.line(declared(i, lane), comment);
    }
    void store(int i, std::string_view lane = {}) {
        const instruction& k = line(i);
        out.line(element_at(i, lane) + (k.what == code::store_add ? " += " : " = ") +
                     name('v', k.operands[0]) + ";",
                 origin(i));
    }
    bool is_store(int i) const {
        return line(i).what == code::store || line(i).what == code::store_add;
    }

    // ---- reductions -----------------------------------------------------------------------------------------------
    /// How two running values become one, for each reduction of the body.
    void declare_joins() {
        for (int i = 0; i < count(); ++i) {
            if (line(i).what != code::reduce) continue;
            std::string t = type_of_running(i), pattern(op_table[line(i).op].cuda), joined;
            for (std::size_t c = 0; c < pattern.size(); ++c)
                if (pattern[c] == '$')
                    joined += pattern[++c] == '0' ? "x" : "y";
                else
                    joined += pattern[c];
            if (is_argmax(i)) joined = "etch_better(x, y)";
            out.line("const auto join" + std::to_string(i) + " = [](const " + t + "& x, const " +
                     t + "& y) -> " + t + " { return " + joined + "; };");
        }
    }
    void begin_reduction(int i) {
        std::string neutral = detail::number_text(
            line(i).from, detail::neutral_of(reduction_rows{}, line(i).op, line(i).from));
        if (is_argmax(i)) neutral = "{" + neutral + ", 0}";
        out.line(type_of_running(i) + " " + name('r', i) + " = " + neutral + ";", origin(i));
    }
    /// `position` is that of the element among those that are joined.
    void accumulate(int i, const std::string& position, std::string_view condition = {}) {
        std::string r = name('r', i), x = name('v', line(i).operands[0]);
        if (is_argmax(i)) x = type_of_running(i) + "{" + x + ", int(" + position + ")}";
        std::string s = r + " = join" + std::to_string(i) + "(" + r + ", " + x + ");";
        if (!condition.empty()) s = "if (" + std::string(condition) + ") " + s;
        out.line(s);
    }
    /// The value of a reduction whose threads are joined by `how`: "etch_join_lanes<8>".
    void end_reduction(int i, const std::string& how) {
        std::string r = how + "(" + name('r', i) + ", join" + std::to_string(i) + ")";
        if (is_argmax(i)) r += ".index";
        out.line("const " + type(line(i).element) + " " + name('v', i) + " = " + r + ";",
                 std::string(op_table[line(i).op].name) + " " + origin(i));
    }
};

}  // namespace etch::cuda
