// SPDX-License-Identifier: MIT
// Which step of a program makes what has a name: outputs, parameters, scopes, inputs.
#pragma once
#include <algorithm>

#include <etch/passes/check.hpp>
#include <etch/passes/program.hpp>

namespace etch {

/// A name as a template argument: etch::plan<model>.find<"loss">().
template <std::size_t size> struct name_text {
    char characters[size]{};
    consteval name_text(const char (&s)[size]) {
        for (std::size_t i = 0; i < size; ++i) characters[i] = s[i];
    }
    constexpr std::string_view view() const { return {characters, size - 1}; }
};

namespace detail {

/// The parts that a step runs: a kernel's own, a product's epilogue.
template <class F> constexpr void for_each_part(const program_view& p, const step& s, F f) {
    for (int i = 0; i < s.parts.count; ++i) f(p.parts[s.parts.first + i]);
    if (s.kind != step_kind::gemm) return;
    int epilogue = p.gemms[s.index].epilogue;
    if (epilogue >= 0) f(p.parts[epilogue]);
}
/// f(storage, whether it is written) for each access of a step's; a loop's are those of its body.
template <class F> constexpr void each_access(const program_view& p, const step& s, F f) {
    for_each_part(p, s, [&](const part& q) {
        for (const auto& i : p.code_of(p.bodies[q.body])) {
            if (i.slot < 0) continue;
            int k = p.slots[q.slots.first + i.slot].storage;
            if (k >= 0) f(k, i.what == code::store || i.what == code::store_add);
        }
    });
    if (s.kind == step_kind::gemm) {
        const matrix_product& m = p.gemms[s.index];
        f(m.a, false);
        f(m.b, false);
        f(m.c, true);
    } else if (s.kind == step_kind::copy) {
        f(p.copies[s.index].from, false);
        f(p.copies[s.index].to, true);
    } else if (s.kind == step_kind::loop) {
        for (const step& inner : p.steps_of(p.loops[s.index].body)) each_access(p, inner, f);
    }
}

/// What find gives: a step's number, or the reason why there is none.
struct found_step {
    int step = -1;
    sentence complaint{};
};

/// Single characters to be put in, left out or changed until a is b.
constexpr std::size_t edits_between(std::string_view a, std::string_view b) {
    flat_list<std::size_t> row(b.size() + 1, 0);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
        }
    }
    return row[b.size()];
}

class step_finder {
    const program_view& p;

    constexpr bool is(int s, place where, std::size_t index) const {
        const storage& k = p.storages[s];
        return k.where == where && at(k.index) == index;
    }
    /// Whether the step has an access to a storage for which f holds.
    template <class F> constexpr bool touches(const step& s, F f) const {
        bool any = false;
        each_access(p, s, [&](int k, bool written) {
            if (p.storages[k].where == place::slice) k = p.storages[k].index;
            any = any || f(p.root(k), written);
        });
        return any;
    }
    template <class F> constexpr int first(F f) const {
        for (int i = p.top[0]; i < p.top[0] + p.top[1]; ++i)
            if (touches(p.steps[i], f)) return i;
        return -1;
    }
    template <class F> constexpr int last(F f) const {
        for (int i = p.top[0] + p.top[1]; i-- > p.top[0];)
            if (touches(p.steps[i], f)) return i;
        return -1;
    }
    constexpr found_step result(int step, std::string_view name) const {
        if (step >= 0) return {step, {}};
        text t;
        t << "find: no step of the plan reads or makes \"" << name << '"';
        return {-1, sentence(t.view())};
    }
    /// Outputs, parameters with the scopes around them, inputs.
    template <class F> constexpr void for_each_name(F f) const {
        for (const auto& o : p.outputs) f(p.text_of(o.name));
        for (const auto& s : p.states) {
            auto full = p.text_of(s.name);
            f(full);
            for (std::size_t i = 0; i < full.size(); ++i)
                if (full[i] == '/') f(full.substr(0, i));
        }
        for (const auto& i : p.inputs) f(p.text_of(i.name));
    }
    constexpr found_step unknown(std::string_view name) const {
        struct candidate {
            std::string_view name;
            std::size_t edits;
        };
        flat_list<candidate> all;
        for_each_name([&](std::string_view n) {
            for (const auto& c : all)
                if (c.name == n) return;
            // Part of a name is near, too.
            bool inside = n.find(name) != std::string_view::npos;
            all.push_back({n, inside ? 1 : edits_between(n, name)});
        });
        std::size_t sorted = 0;  // near ones first, else in the order of the program
        for (std::size_t edits = 0; edits <= 2; ++edits)
            for (std::size_t i = sorted; i < all.size(); ++i)
                if (all[i].edits == edits) std::swap(all[sorted++], all[i]);
        text t;
        t << "find: the plan has no \"" << name << '"';
        std::size_t near = 0;
        while (near < all.size() && near < 3 && all[near].edits <= 2) ++near;
        t << (near == 0 ? "; it has" : near == 1 ? ", near is" : ", near are");
        std::size_t shown = near > 0 ? near : all.size() < 5 ? all.size() : 5;
        for (std::size_t i = 0; i < shown; ++i) t << (i > 0 ? ", \"" : " \"") << all[i].name << '"';
        return {-1, sentence(t.view())};
    }

public:
    constexpr explicit step_finder(const program_view& program) : p(program) {}

    constexpr found_step find(std::string_view name) const {
        for (const auto& o : p.outputs)
            if (p.text_of(o.name) == name)
                return result(last([&](int s, bool w) { return w && s == p.root(o.storage); }),
                              name);
        for (std::size_t i = 0; i < p.states.size(); ++i) {
            if (p.text_of(p.states[i].name) != name) continue;
            auto it = [&](int s) { return is(s, place::state, i); };
            int writer = last([&](int s, bool w) { return w && it(s); });
            return result(writer >= 0 ? writer : first([&](int s, bool) { return it(s); }), name);
        }
        bool scope = false;
        int reader = first([&](int s, bool) {
            const storage& k = p.storages[s];
            if (k.where != place::state) return false;
            auto full = p.text_of(p.states[k.index].name);
            return full.size() > name.size() && full.starts_with(name) && full[name.size()] == '/';
        });
        for_each_name([&](std::string_view n) { scope = scope || n == name; });
        if (reader >= 0) return result(reader, name);
        for (std::size_t i = 0; i < p.inputs.size(); ++i)
            if (p.text_of(p.inputs[i].name) == name)
                return result(first([&](int s, bool) { return is(s, place::input, i); }), name);
        return scope ? result(-1, name) : unknown(name);
    }
};
constexpr found_step find_step(const program_view& p, std::string_view name) {
    return step_finder(p).find(name);
}

}  // namespace detail
}  // namespace etch
