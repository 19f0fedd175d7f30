// SPDX-License-Identifier: MIT
// How the lines of a kernel body are nested, for each kind of body and each variant: who visits which points, and in which
// order reductions are joined. Results do not depend on timing: every sum is made in an order that the extents, the grid
// and the variant fix.
#pragma once
#include <etch/cuda/body_points.hpp>

namespace etch::cuda {

class body_emitter : public body_points {
public:
    using body_points::body_points;

    /// The argument's struct, the function of a block, and the one of the last block where the body has an end. The name
    /// of the body stands as @.
    std::string text() {
        declare_argument();
        if (axes() > 0) {
            open_function("", "const uint32 block, const uint32 blocks");
            before();
            for (int i = 0; i < count(); ++i)
                if (etch::detail::is_scalar_reduction(line(i))) begin_reduction(i);
            switch (b.kind) {
            case body_kind::pointwise: pointwise(); break;
            case body_kind::rows: row_by_row(); break;
            case body_kind::columns: column_by_column(); break;
            }
            save_partials();
            out.close();
        }
        if (has_end(b, lines)) end();
        return out.text();
    }
    static bool has_end(const body&, std::span<const instruction> lines) {
        for (const auto& i : lines)
            if (etch::detail::is_scalar_reduction(i) || etch::detail::is_at_end(i)) return true;
        return false;
    }

private:
    void open_function(std::string_view suffix, std::string_view more) {
        out.open("static __device__ __forceinline__ void @" + std::string(suffix) +
                 "(const @_argument& a, " + std::string(more) + ", etch_failure* failure) {");
        read_argument();
    }
    void before() {
        declare_joins();
        for (int i = 0; i < count(); ++i)
            if (etch::detail::is_before(line(i))) value(i);
    }
    std::string threads() const { return std::to_string(v.threads); }
    /// n0 * n1, or 1.
    static std::string product(int first, int last) {
        std::string s;
        for (int a = first; a < last; ++a) s += (s.empty() ? "" : " * ") + name('n', a);
        return s.empty() ? "1" : s;
    }
    /// Names i{a} for the axes of the list, the last one fastest, from a number of the points of that space.
    void decompose(std::string from, const std::vector<int>& which) {
        for (std::size_t k = which.size(); k-- > 0;) {
            std::string i = name('i', which[k]), n = name('n', which[k]),
                        rest = name('q', which[k]);
            if (k == 0) {
                out.line("const index " + i + " = " + from + ";");
            } else {
                out.line("const index " + i + " = " + from + " % " + n + ", " + rest + " = " +
                         from + " / " + n + ";");
                from = rest;
            }
        }
    }
    static std::vector<int> range(int first, int last, int without = -1) {
        std::vector<int> r;
        for (int a = first; a < last; ++a)
            if (a != without) r.push_back(a);
        return r;
    }

    // ---- pointwise ------------------------------------------------------------------------------------------------
    std::string stride_of_grid() const { return "index(blocks) * " + threads(); }
    std::string first_of_thread() const {
        return "index(block) * " + threads() + " + index(threadIdx.x)";
    }
    /// A loop in which the threads of all blocks stand side by side. choose_blocks() has a thread come back only in large
    /// parts, where the other threads wait for memory at the same time: copies of the body, which NVRTC makes of its own
    /// accord, would hardly run and are a tenth of its time. A reduction to a scalar has few blocks, whose threads come
    /// back often; what is left after packs (`from`) is three elements at most.
    void open_grid(const std::string& last, const std::string& from = {}) {
        if (!from.empty() || etch::detail::scalar_reductions(lines) == 0)
            out.line("#pragma unroll 1");
        out.open("for (index u = " + (from.empty() ? "" : from + " + ") + first_of_thread() +
                 "; u < " + last + "; u += " + stride_of_grid() + ") {");
    }
    void pointwise() {
        if (b.sequential) return v.owned ? by_owners() : in_order();
        if (v.tile >= 0) return through_tiles();
        std::string width = std::to_string(v.vector);
        if (v.vector == 1) {
            open_grid(product(0, axes()));
            decompose("u", range(0, axes()));
            points(0, "1", "u");
            out.close();
        } else if (axes() == 1) {
            out.open("const auto points = [&](const auto lanes, const index i0) {");
            out.line("constexpr int N = decltype(lanes)::value;");
            points(0, "N", "i0");
            out.close("};");
            out.line("const index packs = n0 / " + width + ";");
            open_grid("packs");
            out.line("points(etch_lanes<" + width + ">{}, " + width + " * u);");
            out.close();
            open_grid("n0", width + " * packs");
            out.line("points(etch_lanes<1>{}, u);");
            out.close();
        } else {
            int last = axes() - 1;
            out.line("const index packs = " + name('n', last) + " / " + width + ";");
            open_grid(product(0, last) + " * packs");
            out.line("const index " + name('i', last) + " = u % packs * " + width +
                     ", row = u / packs;");
            decompose("row", range(0, last));
            points(0, width, "u * " + width);
            out.close();
        }
    }
    /// A thread walks the axes along which elements may meet in one sum, in their order.
    void in_order() {
        std::vector<int> free;
        std::string count_of_free;
        for (int a = 0; a < axes(); ++a)
            if ((v.ordered >> a & 1) == 0) {
                free.push_back(a);
                count_of_free += (count_of_free.empty() ? "" : " * ") + name('n', a);
            }
        open_grid(free.empty() ? "1" : count_of_free);
        decompose("u", free);
        int loops = 0;
        for (int a = 0; a < axes(); ++a) {
            if ((v.ordered >> a & 1) == 0) continue;
            std::string i = name('i', a);
            out.open("for (index " + i + " = 0; " + i + " < " + name('n', a) + "; ++" + i + ") {");
            ++loops;
        }
        points(0, "1", "u");
        for (; loops > 0; --loops) out.close();
        out.close();
    }
    std::string product(const std::vector<int>& which) const {
        std::string s;
        for (int a : which) s += (s.empty() ? "" : " * ") + name('n', a);
        return s.empty() ? "1" : s;
    }
    /// A block owns a place of the axis that indices point to. Its threads look for what belongs there, as many points
    /// at once; what was found is added in the order of the points, a thread for each of the other axes' elements.
    void by_owners() {
        std::vector<int> free, ordered;
        for (int a = 0; a < axes(); ++a) ((v.ordered >> a & 1) ? ordered : free).push_back(a);
        int added = 0;
        while (line(added).what != code::store_add) ++added;
        const int to = line(added).operands[1], from = line(added).operands[0];
        const std::string x = name('v', to), size = threads();
        out.line("__shared__ index listed[" + size + "];");
        out.line("const index points = " + product(ordered) + ", columns = " + product(free) + ";");
        out.line("int turn = 0;");
        out.open("for (index owner = block; owner < " + name('b', line(added).slot) +
                 "; owner += blocks) {");
        out.open("for (index first = 0; first < points; first += " + size + ") {");
        out.line("const index u = first + index(threadIdx.x);");
        out.line("bool mine = false;");
        out.open("if (u < points) {");
        decompose("u", ordered);
        for (int a : free) out.line("const index " + name('i', a) + " = 0;");
        values(needed_by(to));
        out.line("mine = index(" + x + ") == owner;");
        out.close();
        out.line("int found;");
        out.line("const int before = etch_found_before<" + size + ">(mine, turn, found);");
        out.line("turn = 1 - turn;");
        out.line("if (found == 0) continue;");
        out.line("if (mine) listed[before] = u;");
        out.line("__syncthreads();");
        out.line("const " + type(line(to).element) + " " + x + " = " + type(line(to).element) +
                 "(owner);");
        out.open("for (index column = threadIdx.x; column < columns; column += " + size + ") {");
        decompose("column", free);
        for (int a : ordered) out.line("const index " + name('i', a) + " = 0;");
        const std::string place = element_at(added), sum = name('r', added);
        out.line(type(line(added).element) + " " + sum + " = " + place + ";", origin(added));
        out.open("for (int k = 0; k < found; ++k) {");
        out.line("const index listed_point = listed[k];");
        decompose("listed_point", ordered);
        values(needed_by(from, to));
        out.line(sum + " += " + name('v', from) + ";");
        out.close();
        out.line(place + " = " + sum + ";");
        out.close();
        out.close();
        out.close();
    }
    /// Squares of 32 by 32 points: what lies along the axis `tile` in memory is read along it and turned in shared memory.
    void through_tiles() {
        int last = axes() - 1, across = v.tile;
        std::string x = name('i', last), nx = name('n', last), y = name('i', across),
                    ny = name('n', across), rows = std::to_string(v.threads / 32);
        for (int i = 0; i < count(); ++i)
            if (tiled(i))
                out.line("__shared__ " + type(line(i).element) + " tile" +
                         std::to_string(line(i).slot) + "[32][33];");
        out.line("const int tx = threadIdx.x % 32, ty = threadIdx.x / 32;");
        out.line("const index tiles_x = (" + nx + " + 31) / 32, tiles_y = (" + ny + " + 31) / 32;");
        std::string others = "tiles_x * tiles_y";
        for (int a : range(0, last, across)) others += " * " + name('n', a);
        out.open("for (index u = block; u < " + others + "; u += blocks) {");
        out.line("const index x0 = u % tiles_x * 32, above = u / tiles_x;");
        out.line("const index y0 = above % tiles_y * 32, rest = above / tiles_y;");
        decompose("rest", range(0, last, across));
        std::string loop = "for (int k = ty; k < 32; k += " + rows + ") {";
        out.open(loop);
        out.line("const index " + y + " = y0 + tx, " + x + " = x0 + k;");
        out.open("if (" + y + " < " + ny + " && " + x + " < " + nx + ") {");
        for (int i = 0; i < count(); ++i)
            if (tiled(i))
                out.line("tile" + std::to_string(line(i).slot) + "[k][tx] = " + element_at(i) + ";",
                         origin(i));
        out.close();
        out.close();
        out.line("__syncthreads();");
        out.open(loop);
        out.line("const index " + y + " = y0 + k, " + x + " = x0 + tx;");
        out.open("if (" + y + " < " + ny + " && " + x + " < " + nx + ") {");
        points(0, "1", "u");
        out.close();
        out.close();
        out.line("__syncthreads();");
        out.close();
    }

    // ---- rows -----------------------------------------------------------------------------------------------------
    bool by_block() const { return v.lanes > 32; }
    /// What a row knows after pass p - 1. `owner` is the condition under which a thread speaks for its row.
    void row_stage(int p, const std::string& join, const std::string& barrier,
                   const std::string& owner, const std::string& position) {
        bool waited = false;
        for (int i = 0; i < count(); ++i) {
            if (!etch::detail::in_row_stage(line(i), p)) continue;
            if (etch::detail::is_row_reduction(line(i))) {
                end_reduction(i, join);
            } else if (line(i).what == code::reduce) {
                accumulate(i, position, owner);
            } else if (is_store(i)) {
                // In place, a thread may still have to read what another one is about to write.
                if (!waited) out.line(barrier);
                waited = true;
                out.line("if (" + owner + ") " + element_at(i) + " = " +
                             name('v', line(i).operands[0]) + ";",
                         origin(i));
            } else {
                value(i);
            }
        }
    }
    void begin_rows(int p) {
        for (int i = 0; i < count(); ++i)
            if (etch::detail::is_row_reduction(line(i)) && etch::detail::in_pass(line(i), p))
                begin_reduction(i);
    }
    void row_by_row() {
        std::string width = std::to_string(v.vector), lanes = std::to_string(v.lanes),
                    group = std::to_string(v.threads / v.lanes);
        std::string owner = by_block() ? "lane == 0" : "live && lane == 0",
                    barrier = by_block() ? "__syncthreads();" : "__syncwarp();",
                    join = by_block() ? "etch_join_block<" + threads() + ">"
                                      : "etch_join_lanes<" + lanes + ">";
        out.line("const index rows = " + product(0, b.outer) +
                 ", length = " + product(b.outer, axes()) + ";");
        if (by_block()) {
            out.line("const int lane = threadIdx.x;");
            out.open("for (index row = block; row < rows; row += blocks) {");
        } else {
            out.line("const int lane = threadIdx.x % " + lanes + ";");
            out.open("for (index first = index(block) * " + group +
                     "; first < rows; first += index(blocks) * " + group + ") {");
            out.line("const index own = first + threadIdx.x / " + lanes + ";");
            out.line("const bool live = own < rows;");
            out.line("const index row = live ? own : rows - 1;");
        }
        decompose("row", range(0, b.outer));
        row_stage(0, join, barrier, owner, "row");
        for (int i = 0; i < count(); ++i)
            if (kept(i))
                out.line("etch_pack<" + type(line(i).element) + ", " + width + "> " + name('p', i) +
                         "[" + std::to_string(v.items) + "];");
        for (int p = 0; p < b.passes; ++p) {
            begin_rows(p);
            std::string live = by_block() ? "" : "live && ";
            if (v.items > 0) {
                out.line("#pragma unroll");
                out.open("for (int k = 0; k < " + std::to_string(v.items) + "; ++k) {");
                out.line("const index j = (k * " + lanes + " + lane) * " + width + ";");
                out.open("if (" + live + "j < length) {");
            } else {
                out.line("#pragma unroll 4");
                out.open("for (index j = lane * " + width + "; " + live +
                         "j < length; j += " + std::to_string(v.lanes * v.vector) + ") {");
            }
            decompose("j", range(b.outer, axes()));
            points(p, width, "j");
            if (v.items > 0) out.close();
            out.close();
            row_stage(p + 1, join, barrier, owner, "row");
        }
        out.close();
    }

    // ---- columns --------------------------------------------------------------------------------------------------
    /// Some columns a block; its rows of threads share the elements of a column.
    void column_by_column() {
        std::string n = name('n', vector_axis), i = name('i', vector_axis),
                    width = std::to_string(v.lanes),
                    join = "etch_join_columns<" + threads() + ", " + width + ">";
        out.line("const index groups = (" + n + " + " + std::to_string(v.lanes - 1) + ") / " +
                 width + ", rows = " + product(0, vector_axis) +
                 ", length = " + product(b.outer, axes()) + ";");
        out.line("const int tx = threadIdx.x % " + width + ", ty = threadIdx.x / " + width + ";");
        out.open("for (index u = block; u < rows * groups; u += blocks) {");
        out.line("const index row = u / groups, column = u % groups * " + width + " + tx;");
        out.line("const bool live = column < " + n + ";");
        out.line("const index " + i + " = live ? column : " + n + " - 1;");
        decompose("row", range(0, vector_axis));
        std::string position = "row * " + n + " + column";
        row_stage(0, join, "__syncthreads();", "live && ty == 0", position);
        for (int p = 0; p < b.passes; ++p) {
            begin_rows(p);
            out.open("for (index j = ty; live && j < length; j += " +
                     std::to_string(v.threads / v.lanes) + ") {");
            decompose("j", range(b.outer, axes()));
            points(p, "1", "j");
            out.close();
            row_stage(p + 1, join, "__syncthreads();", "live && ty == 0", position);
        }
        out.close();
    }

    // ---- reductions to a scalar -----------------------------------------------------------------------------------
    std::string partial(int i, const std::string& block) const {
        return "reinterpret_cast<" + type_of_running(i) + "*>(a.scratch + 2 * (" +
               std::to_string(etch::detail::scalar_reduction_number(lines, i)) + " * blocks + " +
               block + "))";
    }
    void save_partials() {
        for (int i = 0; i < count(); ++i) {
            if (!etch::detail::is_scalar_reduction(line(i))) continue;
            out.line("const auto of_block" + std::to_string(i) + " = etch_join_block<" + threads() +
                     ">(" + name('r', i) + ", join" + std::to_string(i) + ");");
            out.line("if (threadIdx.x == 0) *" + partial(i, "block") + " = of_block" +
                     std::to_string(i) + ";");
        }
    }
    /// What the last block does: joins what the blocks have left, and computes what follows from it.
    void end() {
        open_function("_end", "const uint32 blocks");
        before();
        std::vector<int> stores;
        for (int i = 0; i < count(); ++i) {
            if (etch::detail::is_scalar_reduction(line(i))) {
                begin_reduction(i);
                std::string r = name('r', i);
                out.line("for (uint32 k = threadIdx.x; k < blocks; k += " + threads() + ") " + r +
                         " = join" + std::to_string(i) + "(" + r + ", etch_fresh(" +
                         partial(i, "k") + "));");
                end_reduction(i, "etch_join_block<" + threads() + ">");
            } else if (etch::detail::is_at_end(line(i))) {
                if (is_store(i))
                    stores.push_back(i);
                else
                    value(i);
            }
        }
        if (!stores.empty()) {  // in place, other threads may still have to read
            out.line("__syncthreads();");
            for (int i : stores)
                out.line("if (threadIdx.x == 0) " + element_at(i) +
                             (line(i).what == code::store_add ? " += " : " = ") +
                             name('v', line(i).operands[0]) + ";",
                         origin(i));
        }
        out.line("__syncthreads();");
        out.close();
    }
};

}  // namespace etch::cuda
