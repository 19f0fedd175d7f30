// SPDX-License-Identifier: MIT
// Parameters, and all else that stays between calls, by name. Functions that are made with one state share it; the
// first that knows a name makes its tensor. The first value depends on the seed and the name alone, so that it is the
// same in whatever order functions and parameters come.
#pragma once
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <etch/cpu/random.hpp>
#include <etch/passes/program.hpp>
#include <etch/run/arguments.hpp>
#include <etch/run/device.hpp>

namespace etch {

/// What random first values and draws follow from.
struct seed {
    std::uint64_t value = 0;
    constexpr explicit seed(std::uint64_t number) : value(number) {}
};

namespace detail {

/// FNV-1a (Fowler, Noll, Vo: RFC 9923), its bits mixed once more.
constexpr std::uint64_t hash_of_name(std::string_view name) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return mix(h, name.size());
}

/// First values. Elements 2 i and 2 i + 1 come from block i of Philox4x32-10 with the counter {i, hash of the name} under
/// the seed as key: two uniform doubles u and v, or two normal ones, sqrt(-2 log(1 - u)) times cos(2 pi v) and
/// sin(2 pi v) (Box, Muller: A note on the generation of random normal deviates, 1958). They are rounded last.
template <class T>
void draw_first_values(T* to, std::int64_t size, const initial_value& how, std::uint64_t key,
                       std::uint64_t hash) {
    for (std::int64_t i = 0; i < size; i += 2) {
        auto block = static_cast<std::uint64_t>(i / 2);
        std::uint64_t c[4] = {block & 0xFFFFFFFFu, block >> 32, hash & 0xFFFFFFFFu, hash >> 32};
        cpu::detail::philox(c, key);
        double u = cpu::detail::unit_interval<double>(c[0], c[1]),
               v = cpu::detail::unit_interval<double>(c[2], c[3]);
        double pair[2] = {how.a + (how.b - how.a) * u, how.a + (how.b - how.a) * v};
        if (how.how == initial_value::kind::normal) {
            double radius = how.b * std::sqrt(-2 * std::log1p(-u)), angle = 6.283185307179586 * v;
            pair[0] = how.a + radius * std::cos(angle);
            pair[1] = how.a + radius * std::sin(angle);
        }
        for (std::int64_t j = 0; j < 2 && i + j < size; ++j)
            to[i + j] = static_cast<T>(std::is_integral_v<T> ? std::floor(pair[j]) : pair[j]);
    }
}

inline etch::tensor first_value(std::string_view name, dtype element, const tensor_shape& shape,
                                const initial_value& how, std::uint64_t seed_number) {
    etch::tensor t(element, shape);
    if (name == "random" && element == dtype::int64 && shape == tensor_shape{2}) {  // {key, step}
        t.data<std::int64_t>()[0] = static_cast<std::int64_t>(seed_number);
        t.data<std::int64_t>()[1] = 0;
        return t;
    }
    with_element(element, [&](auto zero) {
        using T = decltype(zero);
        auto* to = t.data<T>();
        if (how.how == initial_value::kind::constant) {
            std::fill_n(to, t.size(), static_cast<T>(how.a));
            return;
        }
        if constexpr (std::is_same_v<T, bool>) {
            for (std::int64_t i = 0; i < t.size(); ++i) to[i] = false;
        } else {
            draw_first_values(to, t.size(), how, seed_number, hash_of_name(name));
        }
    });
    return t;
}

class program_runner;

}  // namespace detail

class state {
public:
    state() : state(etch::seed(0)) {}
    explicit state(etch::seed s) : shared_(std::make_shared<shared>(s.value)) {}
    state(const state&) = default;  // another handle
    state& operator=(const state&) = default;

    std::uint64_t seed() const { return shared_->seed; }
    /// In the order in which they were made.
    std::vector<std::string> names() const {
        std::lock_guard lock(shared_->mutex);
        std::vector<std::string> names;
        for (const auto& e : shared_->entries) names.push_back(e.name);
        return names;
    }
    bool contains(std::string_view name) const {
        std::lock_guard lock(shared_->mutex);
        return shared_->by_name.contains(name);
    }
    /// The live tensor: what is written to its elements, functions see, and the other way round. Of a function on
    /// another device than the CPU it shows the elements of now: take it again after a call.
    const tensor operator[](std::string_view name) const {
        std::lock_guard lock(shared_->mutex);
        auto at = shared_->by_name.find(name);
        if (at != shared_->by_name.end()) {
            shared_->entries[at->second].to_host();
            return shared_->entries[at->second].value;
        }
        text t;
        t << "state: no parameter has the name " << name;
        if (shared_->entries.empty())
            t << ": it has no parameters yet, the functions that are made with it bring theirs";
        for (std::size_t i = 0; i < shared_->entries.size() && i < 8; ++i)
            t << (i == 0 ? "; there are " : ", ") << shared_->entries[i].name;
        if (shared_->entries.size() > 8) t << ", ...";
        throw mistake(t.view());
    }
    /// Writes elements: of the parameter's own shape, or that many in a row.
    template <class Values> void set(std::string_view name, const Values& values) {
        write(name, detail::checked_argument(values));
    }
    /// A state of its own, with a copy of every tensor.
    state clone() const {
        exclusive held(*this, "state: clone");
        state copy{etch::seed(seed())};
        std::lock_guard lock(shared_->mutex);
        for (auto& e : shared_->entries) {
            if (e.copy) e.copy->to_host(e.value.bytes_data());
            copy.shared_->entries.push_back({e.name, e.value.clone(), nullptr});
        }
        for (auto& e : copy.shared_->entries) e.value.set_live();
        copy.shared_->by_name = shared_->by_name;
        return copy;
    }

private:
    friend class detail::program_runner;
    struct entry {
        std::string name;
        tensor value;
        std::shared_ptr<detail::device_copy> copy;  // null where no device has one

        /// Whoever gets the elements on the host may write to them.
        void to_host() {
            if (!copy) return;
            copy->to_host(value.bytes_data());
            copy->which = detail::device_copy::newest::host;
        }
    };
    struct shared {
        std::uint64_t seed;
        std::mutex mutex;  // of the names; elements are guarded by `busy`
        std::vector<entry> entries;
        std::map<std::string, std::size_t, std::less<>> by_name;
        std::atomic<bool> busy{false};
        std::atomic<std::uint64_t> attached{0};
        explicit shared(std::uint64_t number) : seed(number) {}
    };
    std::shared_ptr<shared> shared_;

    /// Whoever runs on the state holds one of these.
    class exclusive {
    public:
        exclusive(const state& s, std::string_view what) : busy_(s.shared_->busy) {
            if (!busy_.exchange(true, std::memory_order_acquire)) return;
            text t;
            t << what << ": another call runs on the same state";
            throw mistake(t.view());
        }
        ~exclusive() { busy_.store(false, std::memory_order_release); }
        exclusive(const exclusive&) = delete;
        exclusive& operator=(const exclusive&) = delete;

    private:
        std::atomic<bool>& busy_;
    };

    void write(std::string_view name, const detail::argument& a) {
        tensor to = (*this)[name];
        exclusive held(*this, "state: set");
        auto refuse = [&](std::string_view what) {
            text t;
            t << "state: " << name << " is " << row_of(to.element()).name << ' ';
            detail::print(t, to.shape()) << ", not " << what;
            throw mistake(t.view());
        };
        if (a.kind == detail::argument_kind::number) {
            if (to.rank() != 0 || !detail::number_as(a, to.element(), to.bytes_data()))
                refuse("such a number");
            return;
        }
        if (a.element != to.element()) refuse(row_of(a.element).name);
        bool vector = a.kind == detail::argument_kind::matrix && to.rank() == 1 &&
                      (a.extents[0] == 1 || a.extents[1] == 1);
        if (a.size() != to.size() || !(a.flat || vector || a.shape() == to.shape())) {
            text t;
            if (a.flat)
                t << a.extents[0] << " elements";
            else
                detail::print(t, a.shape());
            refuse(t.view());
        }
        if (a.data != to.bytes_data()) a.copy_to(to.bytes_data());
    }

    /// The copies of a program's parameters on a device, in its order; those on another device are brought back.
    std::vector<std::shared_ptr<detail::device_copy>> attach(const program_view& p,
                                                             const detail::device_program& to) {
        std::lock_guard lock(shared_->mutex);
        ++shared_->attached;
        std::vector<std::shared_ptr<detail::device_copy>> copies;
        for (const auto& s : p.states) {
            entry& e = shared_->entries[shared_->by_name.find(p.text_of(s.name))->second];
            if (!e.copy || e.copy->where() != to.name()) {
                e.to_host();
                e.copy = to.make_copy(e.value.size() * row_of(e.value.element()).bytes);
            }
            copies.push_back(e.copy);
        }
        return copies;
    }
    /// Before a call on the CPU: what a device has written comes back.
    void to_host(const program_view& p) {
        std::lock_guard lock(shared_->mutex);
        for (const auto& s : p.states)
            shared_->entries[shared_->by_name.find(p.text_of(s.name))->second].to_host();
    }

    /// How often a device was attached: who was attached before asks again.
    std::uint64_t attached() const { return shared_->attached; }

    /// Where each parameter of a program lies, in its order. All are checked before any is made.
    std::vector<void*> attach(const program_view& p) {
        std::lock_guard lock(shared_->mutex);
        auto shape_of = [](const type& t) {
            tensor_shape s;
            for (int i = 0; i < t.rank; ++i) s.push_back(t[i].code);
            return s;
        };
        for (const auto& s : p.states) {
            auto at = shared_->by_name.find(p.text_of(s.name));
            if (at == shared_->by_name.end()) continue;
            const tensor& there = shared_->entries[at->second].value;
            if (there.element() == s.of.element && there.shape() == shape_of(s.of)) continue;
            text t;
            t << "state: parameter " << p.text_of(s.name) << " is " << row_of(there.element()).name
              << ' ';
            detail::print(t, there.shape())
                << ", this function's is " << row_of(s.of.element).name << ' ';
            throw mistake(detail::print(t, shape_of(s.of)).view());
        }
        std::vector<entry> fresh;
        for (const auto& s : p.states) {
            auto name = p.text_of(s.name);
            if (shared_->by_name.contains(name)) continue;
            fresh.push_back(
                {std::string(name),
                 detail::first_value(name, s.of.element, shape_of(s.of), s.initial, shared_->seed),
                 nullptr});
            fresh.back().value.set_live();
        }
        auto names = shared_->by_name;
        for (std::size_t i = 0; i < fresh.size(); ++i)
            names.emplace(fresh[i].name, shared_->entries.size() + i);
        shared_->entries.reserve(shared_->entries.size() + fresh.size());
        for (auto& e : fresh) shared_->entries.push_back(std::move(e));
        shared_->by_name.swap(names);

        std::vector<void*> pointers;
        for (const auto& s : p.states)
            pointers.push_back(shared_->entries[shared_->by_name.find(p.text_of(s.name))->second]
                                   .value.bytes_data());
        return pointers;
    }
};

}  // namespace etch
