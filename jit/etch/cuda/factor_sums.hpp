// SPDX-License-Identifier: MIT
// Column sums of a product's factor, which a library can make while it reads the factor: the gradient of a bias beside that
// of the weights. A kernel that consists of nothing but such sums need not run then.
#pragma once
#include <optional>
#include <vector>

#include <etch/expr/model.hpp>
#include <etch/passes/find_step.hpp>

namespace etch::cuda {

/// sums[column] = sum over k of factor[k, column], where the factor lies in memory as k rows.
struct factor_sum {
    int step = -1;      // the kernel that makes the sums otherwise
    int product = -1;   // of the program
    bool of_a = false;  // else of b
    int slot = -1;      // of the program: where the sums go
};

namespace detail {

/// Looks at one step after the other for sums that a later product of the same list of steps can make. What a kernel
/// would have written is then written later, so nothing may use it, or change the factor, in between.
class factor_sum_reader {
public:
    factor_sum_reader(const program_view& program, std::span<const std::int64_t> values)
        : p(program), dims(values), taken(program.gemms.size(), 0) {}

    std::vector<factor_sum> read() {
        read_list(p.all_steps());
        for (const loop& l : p.loops) read_list(l.body);
        return std::move(found);
    }

private:
    const program_view& p;
    std::span<const std::int64_t> dims;
    std::vector<char> taken;  // products: each makes the sums of one factor at most
    std::vector<factor_sum> found;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::int64_t number(extent e) const { return p.value_of(e, dims); }
    /// The storage in whose memory this one lies, slices of a loop too.
    int owner(int s) const {
        s = p.root(s);
        return p.storages[at(s)].where == place::slice ? owner(p.storages[at(s)].index) : s;
    }

    void read_list(range_of list) {
        for (int i = list.first; i < list.first + list.count; ++i) {
            const step& s = p.steps[at(i)];
            if (s.kind != step_kind::kernel || s.parts.count != 1) continue;
            auto sum = read_part(p.parts[at(s.parts.first)], i, list);
            if (!sum) continue;
            taken[at(sum->product)] = 1;
            found.push_back(*sum);
        }
    }
    /// The part loads, sums along its rows, and stores. Where fusion has put the sums of several arrays into one kernel, that
    /// kernel stays: it is one launch, and it could go only if products made all of its sums.
    std::optional<factor_sum> read_part(const part& q, int step, range_of list) const {
        const body& b = p.bodies[at(q.body)];
        const auto lines = p.code_of(b);
        if (b.kind != body_kind::columns || b.outer != 1 || b.passes != 1 || lines.size() != 3 ||
            lines[0].what != code::load || lines[0].at != level::point ||
            lines[1].what != code::reduce || lines[1].op != op_of<sum_row>() ||
            lines[1].at != level::row || lines[2].what != code::store)
            return {};
        return product_for(q, lines[0].slot, lines[2].slot, step, list);
    }
    const slot& slot_of(const part& q, int s) const { return p.slots[at(q.slots.first + s)]; }

    std::optional<factor_sum> product_for(const part& q, int from, int to, int step_of_sums,
                                          range_of list) const {
        const slot &read = slot_of(q, from), &written = slot_of(q, to);
        const storage& sums = p.storages[at(p.root(written.storage))];
        if (sums.where == place::slice || sums.where == place::state ||
            p.storages[at(written.storage)].element != p.storages[at(read.storage)].element ||
            number(written.strides[0]) != 1 || number(read.strides[0]) != 1)
            return {};
        for (int i = step_of_sums + 1; i < list.first + list.count; ++i) {
            const step& s = p.steps[at(i)];
            bool unused = true, unchanged = true;
            etch::detail::each_access(p, s, [&](int k, bool writes) {
                unused = unused && owner(k) != owner(written.storage);
                unchanged = unchanged && !(writes && owner(k) == owner(read.storage));
            });
            if (unused && s.kind == step_kind::gemm && !taken[at(s.index)])
                for (bool of_a : {false, true})
                    if (fits(q, read, p.gemms[at(s.index)], of_a))
                        return factor_sum{step_of_sums, s.index, of_a, q.slots.first + to};
            if (!unused || !unchanged) return {};
        }
        return {};
    }
    /// Whether the columns that are summed are those of the product's factor. The library has none of a factor whose
    /// columns are not along k in memory, and none beside another epilogue.
    bool fits(const part& q, const slot& read, const matrix_product& g, bool of_a) const {
        if (g.epilogue >= 0 || (of_a ? g.a : g.b) != read.storage ||
            (of_a ? !g.transpose_a : g.transpose_b) ||
            number(read.offset) != number(of_a ? g.offset_a : g.offset_b) ||
            number(q.extents[0]) != number(of_a ? g.m : g.n))
            return false;
        const body& b = p.bodies[at(q.body)];
        std::int64_t rows = 1;
        const std::int64_t leading = number(of_a ? g.lda : g.ldb);
        for (int a = b.inner; a > 0; --a) {
            const std::int64_t n = number(q.extents[at(a)]);
            if (n != 1 && number(read.strides[at(a)]) != rows * leading) return false;
            rows *= n;
        }
        return rows == number(g.k);
    }
};

}  // namespace detail

/// All kernels that are nothing but sums of factors of products to come.
inline std::vector<factor_sum> factor_sums_of(const program_view& p,
                                              std::span<const std::int64_t> dims) {
    return detail::factor_sum_reader(p, dims).read();
}

}  // namespace etch::cuda
