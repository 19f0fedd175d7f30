// SPDX-License-Identifier: MIT
// Moves from one legal grouping to another that costs less: a stored value is computed again by those that need it, or one
// that several compute is stored. A move is made, what it changes is walked anew, and where the sum of the costs did not
// fall it is undone.
#pragma once
#include <etch/passes/grouping.hpp>

namespace etch::detail {

struct regrouping : grouping {
    using grouping::grouping;

    // ---- a move, to be undone where it does not pay ------------------------------------------------------------------
    struct saved_group {
        int number;
        group before;
    };
    struct saved_flag {
        int value;
        char before;
    };
    struct saved_gain {
        int product;
        std::int64_t before;
    };
    flat_list<saved_group> groups_before;
    flat_list<saved_flag> flags_before;
    flat_list<saved_gain> gains_before;
    std::int64_t delta = 0;
    bool legal = true;

    constexpr void begin() {
        groups_before.clear();
        flags_before.clear();
        gains_before.clear();
        delta = 0;
        legal = true;
    }
    constexpr void save(int k) { groups_before.push_back({k, groups[at_index(k)]}); }
    constexpr void set_stored(int v, bool to) {
        flags_before.push_back({v, stored[at_index(v)]});
        stored[at_index(v)] = to;
        delta += to ? bytes(v) : -bytes(v);
    }
    constexpr void touch(flat_view<const int> values) {
        for (int v : values) {
            if (!is_product(v)) continue;
            bool known = false;
            for (const auto& s : gains_before) known = known || s.product == v;
            if (!known) gains_before.push_back({v, epilogue_gain(v)});
        }
    }
    constexpr void undo() {
        for (auto i = groups_before.size(); i-- > 0;) {
            const auto& s = groups_before[i];
            set_reads(s.number, s.before.reads);
            groups[at_index(s.number)] = s.before;
        }
        for (auto i = flags_before.size(); i-- > 0;)
            stored[at_index(flags_before[i].value)] = flags_before[i].before;
    }
    /// Walks these groups anew, and those whose stored values change by that.
    constexpr void settle(flat_list<int> queue) {
        walked w;
        for (int rounds = 0; !queue.empty() && legal; ++rounds) {
            if (rounds == 64) {
                legal = false;
                return;
            }
            int k = queue.back();
            queue.pop_back();
            walk(k, w);
            legal = legal && w.legal;
            save(k);
            const flat_list<int> old = groups[at_index(k)].reads;
            touch(old);
            touch(w.reads);
            delta += w.cost - groups[at_index(k)].cost;
            set_reads(k, w.reads);
            groups[at_index(k)].cost = w.cost;
            groups[at_index(k)].kernel = w.kernel;
            auto made_by = [&](int v) {
                int m = group_of[at_index(v)];
                if (m != k && std::find(queue.begin(), queue.end(), m) == queue.end())
                    queue.push_back(m);
            };
            for (int v : w.reads)
                if (roles[at_index(v)] >= role::made && !stored[at_index(v)]) {
                    set_stored(v, true);
                    made_by(v);
                }
            for (int v : old)
                if (roles[at_index(v)] >= role::made && stored[at_index(v)] &&
                    !must_be[at_index(v)] && !is_read(v)) {
                    set_stored(v, false);
                    made_by(v);
                }
        }
    }
    /// Whether what was settled pays; undoes it where not.
    constexpr bool pays() {
        if (legal)
            for (const auto& s : gains_before) delta += s.before - epilogue_gain(s.product);
        if (legal && delta < 0) return true;
        undo();
        return false;
    }

    // ---- computed again, or stored -----------------------------------------------------------------------------------
    static constexpr std::size_t most_readers = 6;

    constexpr bool drop(int v) {
        flat_list<int> users;
        each_reader(v, [&](int k) { users.push_back(k); });
        if (users.size() > most_readers) return false;
        begin();
        set_stored(v, false);
        flat_list<int> queue = users;
        queue.push_back(group_of[at_index(v)]);
        settle(queue);
        return pays();
    }
    constexpr bool keep(int v, flat_view<const int> users) {
        begin();
        int home_group = group_of[at_index(v)];
        if (stored[at_index(v)] || users.size() > most_readers) return false;
        flat_list<int> queue;
        for (int k : users) {
            if (groups[at_index(k)].stage < groups[at_index(home_group)].stage) continue;
            queue.push_back(k);
        }
        if (queue.empty()) return false;
        set_stored(v, true);
        for (int k : queue)
            if (groups[at_index(k)].stage == groups[at_index(home_group)].stage)
                delay(k, groups[at_index(home_group)].stage + 1);
        queue.push_back(home_group);
        settle(queue);
        legal = legal && is_read(v);
        return pays();
    }
    /// Group k runs at this later stage, and what reads from it after that. Nothing runs after the updates.
    constexpr void delay(int k, int stage) {
        if (groups[at_index(k)].stage >= stage) return;
        legal = legal && stage <= last_stage;
        save(k);
        groups[at_index(k)].stage = stage;
        flat_list<int> late{k};
        while (!late.empty()) {
            int m = late.back();
            late.pop_back();
            each_made(m, [&](int v) {
                each_reader(v, [&](int r) {
                    int next = groups[at_index(m)].stage + 1;
                    if (groups[at_index(r)].stage >= next) return;
                    legal = legal && next <= last_stage;
                    save(r);
                    groups[at_index(r)].stage = next;
                    late.push_back(r);
                });
            });
        }
    }
};

}  // namespace etch::detail
