// SPDX-License-Identifier: MIT
// What the steps of a program read and write. Each storage counts once for a step and a direction: within a part, loads
// of one storage read the same elements, and parts write theirs side by side. Of gathered storages it is the most that
// can be read. `plan<m>.bytes_moved()` and what people are told of a program (run/describe.hpp) count with this.
#pragma once
#include <etch/passes/program.hpp>

namespace etch::detail {

/// A storage that a step reads, or writes, and how many elements of it.
struct touched_storage {
    int storage;
    bool written;
    polynomial elements;
};

class traffic {
public:
    constexpr explicit traffic(const program_view& program) : p(program) {}

    constexpr polynomial polynomial_of(extent e) const {
        return e.is_static() ? polynomial::of_number(e.code) : p.polynomials[e.polynomial()];
    }
    /// The storages of a step, once for each direction. A loop has none: its body has steps of its own.
    constexpr flat_list<touched_storage> storages_of(const step& s) const {
        flat_list<touched_storage> all;
        for (int i = 0; i < s.parts.count; ++i) add_part(p.parts[s.parts.first + i], all);
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = p.gemms[s.index];
            polynomial rows = polynomial_of(m.m), columns = polynomial_of(m.n),
                       depth = polynomial_of(m.k);
            polynomial batch = polynomial_of(m.batch), one = polynomial::of_number(1);
            add(all, m.a, false, rows * depth * (m.stride_a.code == 0 ? one : batch));
            add(all, m.b, false, depth * columns * (m.stride_b.code == 0 ? one : batch));
            add(all, m.c, true, rows * columns * batch);
            if (m.epilogue >= 0) add_part(p.parts[m.epilogue], all);
        } else if (s.kind == step_kind::copy) {
            const copy& c = p.copies[s.index];
            add(all, c.from, false, polynomial_of(p.storages[c.from].size));
            add(all, c.to, true, polynomial_of(p.storages[c.to].size));
        }
        return all;
    }
    /// Bytes that one run of a step reads, or writes.
    constexpr polynomial step_bytes(const step& s, bool written) const {
        polynomial sum;
        for (const auto& t : storages_of(s))
            if (t.written == written)
                sum = sum + t.elements *
                                polynomial::of_number(row_of(p.storages[t.storage].element).bytes);
        return sum;
    }
    /// Bytes that one run of a step reads and writes.
    constexpr std::int64_t bytes_moved(const step& s,
                                       flat_view<const std::int64_t> dim_values) const {
        std::int64_t sum = 0;
        for (const auto& t : storages_of(s))
            sum += t.elements.evaluate(dim_values) * row_of(p.storages[t.storage].element).bytes;
        return sum;
    }

private:
    program_view p;

    static constexpr void add(flat_list<touched_storage>& all, int s, bool written,
                              const polynomial& elements, bool beside = false) {
        for (auto& t : all)
            if (t.storage == s && t.written == written) {
                if (beside)
                    t.elements = t.elements + elements;
                else if (!elements.is_number() || !t.elements.is_number() ||
                         elements.number() > t.elements.number())
                    t.elements = elements;
                return;
            }
        all.push_back({s, written, elements});
    }
    constexpr void add_part(const part& q, flat_list<touched_storage>& all) const {
        flat_list<touched_storage> own;
        const body& b = p.bodies[q.body];
        for (const auto& i : p.code_of(b)) {
            if (i.slot < 0) continue;
            const slot& s = p.slots[q.slots.first + i.slot];
            if (s.storage < 0) continue;
            polynomial n = polynomial::of_number(1);
            bool dynamic = i.what == code::gather || i.what == code::store_add;
            for (int a = 0; a < b.outer + b.inner; ++a)
                if (s.strides[a].code != 0 || (dynamic && i.at != level::uniform))
                    n = n * polynomial_of(q.extents[a]);
            add(own, s.storage, i.what == code::store || i.what == code::store_add, n);
        }
        for (const auto& t : own) add(all, t.storage, t.written, t.elements, t.written);
    }
};

}  // namespace etch::detail
