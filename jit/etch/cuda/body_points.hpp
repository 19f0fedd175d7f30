// SPDX-License-Identifier: MIT
// What a kernel body does at a point of its space, in one pass over a row: at a single point, or at neighbours that are
// read and written at once.
#pragma once
#include <bit>

#include <etch/cuda/body_text.hpp>

namespace etch::cuda {

class body_points : public body_text {
public:
    using body_text::body_text;

    /// Whether a later pass takes the value of line i from registers.
    bool kept(int i) const {
        if (v.items == 0 || !at_points(i) || line(i).at != level::point || is_store(i))
            return false;
        for (int k = 0; k < count(); ++k)
            if (at_points(k) && first_pass(k) > first_pass(i) && reads(k, i)) return true;
        return false;
    }

protected:
    int first_pass(int i) const { return std::countr_zero(static_cast<unsigned>(line(i).passes)); }
    bool at_points(int i) const {
        return etch::detail::over(line(i)) == level::point && line(i).passes != 0;
    }
    /// Whether pass p computes line i. Where a thread keeps its part of the row in registers, each value is computed once.
    bool computes(int i, int p) const {
        return at_points(i) &&
               (v.items > 0 ? first_pass(i) == p : etch::detail::in_pass(line(i), p));
    }
    /// The lines that line i is computed from, itself among them.
    std::vector<char> needed_by(int i, int without = -1) const {
        std::vector<char> needed(at(count()), 0);
        needed[at(i)] = 1;
        for (int k = i; k >= 0; --k)
            if (needed[at(k)] && k != without)
                for (int o : line(k).operands)
                    if (o >= 0) needed[at(o)] = 1;
        if (without >= 0) needed[at(without)] = 0;
        return needed;
    }
    void values(const std::vector<char>& needed) {
        for (int i = 0; i < count(); ++i)
            if (needed[at(i)] && at_points(i)) value(i);
    }
    bool reads(int k, int i) const {
        for (int o : line(k).operands)
            if (o == i) return true;
        return false;
    }
    bool tiled(int i) const {
        return line(i).what == code::load && v.tile >= 0 && (v.tiled >> line(i).slot & 1) != 0;
    }
    /// All that pass p does at a point, or at `width` neighbours; `position` is that of the first.
    void points(int p, const std::string& width, const std::string& position) {
        bool packed = width != "1";
        std::string lane = packed ? "l" : "", at_lane = packed ? ".at[l]" : ".at[0]";
        auto along = [&](int i) { return packed && line(i).stride == 1; };
        auto pack = [&](int i) { return name('p', i) + (kept(i) ? "[k]" : ""); };
        for (int i = 0; i < count(); ++i) {
            if (!computes(i, p)) continue;
            if (line(i).what == code::load && along(i))
                out.line((kept(i) ? "" : "const auto ") + pack(i) + " = etch_load<" + width +
                             ">(a." + name('s', line(i).slot) + " + " + index_of(i) + ");",
                         origin(i));
            if (line(i).what == code::store && along(i))
                out.line("etch_pack<" + type(line(i).element) + ", " + width + "> " + name('p', i) +
                         ";");
        }
        if (packed) {
            out.line("#pragma unroll");
            out.open("for (int l = 0; l < " + width + "; ++l) {");
        }
        std::vector<char> known(at(count()), 0);
        for (int i = 0; i < count(); ++i) {
            if (!computes(i, p)) continue;
            for (int o : line(i).operands) {
                if (o < 0 || !kept(o) || first_pass(o) == p || known[at(o)]) continue;
                known[at(o)] = 1;
                out.line("const " + type(line(o).element) + " " + name('v', o) + " = " + pack(o) +
                         at_lane + ";");
            }
            point(i, lane, along(i), pack(i) + at_lane, packed ? position + " + l" : position);
        }
        if (packed) out.close();
        for (int i = 0; i < count(); ++i)
            if (computes(i, p) && line(i).what == code::store && along(i))
                out.line("etch_store(a." + name('s', line(i).slot) + " + " + index_of(i) + ", " +
                             name('p', i) + ");",
                         origin(i));
    }
    void point(int i, const std::string& lane, bool along, const std::string& in_pack,
               const std::string& position) {
        const instruction& k = line(i);
        if (k.what == code::reduce) return accumulate(i, position);
        if (is_store(i)) {
            if (along)
                out.line(in_pack + " = " + name('v', k.operands[0]) + ";");
            else
                store(i, lane);
            return;
        }
        std::string declaration = "const " + type(k.element) + " " + name('v', i) + " = ";
        if (k.what == code::load && along) return out.line(declaration + in_pack + ";");
        if (tiled(i))
            return out.line(declaration + "tile" + std::to_string(k.slot) + "[tx][k];", origin(i));
        value(i, lane);
        if (kept(i)) out.line(in_pack + " = " + name('v', i) + ";");
    }
};

}  // namespace etch::cuda
