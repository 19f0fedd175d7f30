// SPDX-License-Identifier: MIT
// A model without state as a function that bench/run times.
#pragma once
#include <etch.hpp>

#include "../worker.hpp"

namespace bench {

/// The arguments are the model's inputs in order, the results its outputs; results of earlier calls are dropped.
template <auto model> class etch_function {
public:
    explicit etch_function(arrays in)
        : in_(std::move(in)), arguments_(views(std::make_index_sequence<inputs>{})) {}
    auto operator()() { return std::apply(f_, arguments_); }

    static task make(arrays in) {
        if (in.size() != inputs) throw std::invalid_argument("wrong number of arguments");
        auto held = std::make_shared<etch_function>(std::move(in));
        return {[held] { (*held)(); },
                [held] {
                    std::vector<double> sampled;
                    std::apply([&](const auto&... results) { (sample(sampled, results), ...); },
                               (*held)());
                    return sampled;
                }};
    }

private:
    static constexpr std::size_t inputs = etch::plan<model>.view().inputs.size();

    template <std::size_t... i> auto views(std::index_sequence<i...>) const {
        return std::tuple(
            view<etch::element_of<etch::plan<model>.view().inputs[i].of.element>>(in_[i])...);
    }
    template <class T> static auto view(const array& a) {
        return etch::view(a.data<T>(), etch::tensor_shape(a.shape));
    }

    static void sample(std::vector<double>& to, const etch::tensor& t) {
        switch (t.element()) {
        case etch::dtype::float64: return sample_elements(to, t.data<double>(), t.size());
        case etch::dtype::int32: return sample_elements(to, t.data<int>(), t.size());
        default: return sample_elements(to, t.data<float>(), t.size());
        }
    }
    template <class T> static void sample(std::vector<double>& to, T number) {
        sample_elements(to, &number, 1);
    }

    etch::function<model> f_;
    arrays in_;
    decltype(std::declval<const etch_function&>().views(
        std::make_index_sequence<inputs>{})) arguments_;
};

/// Parameters and what optimizers keep.
inline void set_zero(etch::state s) {
    for (const auto& name : s.names()) {
        etch::tensor t = s[name];
        std::memset(t.bytes_data(), 0, t.bytes());
    }
}

}  // namespace bench
