// SPDX-License-Identifier: MIT
// Live tensors: a dtype, a shape and a shared, row-major buffer. A copy of a tensor is another handle to the same
// elements; clone() copies them.
#pragma once
#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <etch/graph/dtype.hpp>
#include <etch/graph/mistake.hpp>
#include <etch/graph/node.hpp>
#include <etch/graph/text.hpp>
#include <etch/run/buffer.hpp>

namespace etch {

/// Extents that are numbers.
class tensor_shape {
public:
    constexpr tensor_shape() = default;
    constexpr tensor_shape(std::initializer_list<std::int64_t> extents)
        : tensor_shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}
    constexpr tensor_shape(std::span<const std::int64_t> extents) {
        for (auto n : extents) push_back(n);
    }
    constexpr tensor_shape(const std::vector<std::int64_t>& extents)
        : tensor_shape(std::span<const std::int64_t>(extents)) {}

    constexpr void push_back(std::int64_t n) {
        if (rank_ == max_rank) throw mistake("tensor: more than 8 axes");
        if (n < 0) throw mistake("tensor: an extent below 0");
        extents_[static_cast<std::size_t>(rank_++)] = n;
    }
    constexpr int rank() const { return rank_; }
    constexpr std::size_t size() const { return static_cast<std::size_t>(rank_); }
    constexpr const std::int64_t* begin() const { return extents_.data(); }
    constexpr const std::int64_t* end() const { return extents_.data() + rank_; }
    constexpr std::int64_t operator[](std::size_t axis) const { return extents_[axis]; }
    constexpr bool operator==(const tensor_shape&) const = default;
    /// The product of all.
    constexpr std::int64_t elements() const {
        std::int64_t n = 1;
        for (auto e : *this) n *= e;
        return n;
    }

private:
    std::array<std::int64_t, max_rank> extents_{};
    int rank_ = 0;
};

namespace detail {

constexpr text& print(text& t, const tensor_shape& s) {
    t << '{';
    for (std::size_t i = 0; i < s.size(); ++i) t << (i > 0 ? ", " : "") << s[i];
    return t << '}';
}

template <class T> constexpr bool is_element() {
    using U = std::remove_cv_t<T>;
    return std::is_same_v<U, double> || std::is_same_v<U, float> || std::is_same_v<U, bool> ||
           (std::is_integral_v<U> && std::is_signed_v<U> && (sizeof(U) == 4 || sizeof(U) == 8));
}
/// A C++ type that is the element of some dtype.
template <class T>
concept element_type = is_element<T>();

/// Elements that lie side by side behind data().
template <class T>
concept contiguous = requires(const T& x) {
    { *x.data() } -> std::convertible_to<typename std::remove_cvref_t<decltype(*x.data())>>;
    static_cast<std::size_t>(x.size());
};

}  // namespace detail

class tensor {
public:
    /// No elements: float32 {0}.
    tensor() : shape_{0} {}
    /// A copy of contiguous elements.
    template <detail::contiguous Values> tensor(const Values& values, tensor_shape shape) {
        using T = std::remove_cvref_t<decltype(*values.data())>;
        if (std::cmp_not_equal(values.size(), shape.elements())) {
            text t;
            t << "tensor: " << values.size() << " elements for the shape ";
            throw mistake(detail::print(t, shape).view());
        }
        *this = tensor(dtype_of<T>, shape);
        if (size() > 0) std::memcpy(memory_->data(), values.data(), bytes());
    }
    template <class T>
    tensor(std::initializer_list<T> values, tensor_shape shape)
        : tensor(std::span<const T>(values.begin(), values.size()), shape) {}
    tensor(const std::vector<bool>& values, tensor_shape shape) {
        auto whole = std::make_unique<bool[]>(values.size());
        std::copy(values.begin(), values.end(), whole.get());
        *this = tensor(std::span<const bool>(whole.get(), values.size()), shape);
    }
    /// Elements that nobody has written yet.
    tensor(dtype element, const tensor_shape& shape)
        : memory_(detail::buffer::make(bytes_of(element, shape))),
          element_(element),
          shape_(shape) {}
    tensor(dtype element, const tensor_shape& shape, detail::buffer_pool& pool)
        : memory_(pool.take(bytes_of(element, shape))), element_(element), shape_(shape) {}

    template <class T> static tensor full(tensor_shape shape, T value) {
        tensor t(dtype_of<T>, shape);
        std::fill_n(t.data<T>(), t.size(), value);
        return t;
    }
    template <class T> static tensor zeros(tensor_shape shape) { return full<T>(shape, T{}); }

    tensor(const tensor& other) noexcept
        : memory_(other.memory_), element_(other.element_), shape_(other.shape_) {
        if (memory_) memory_->owners.fetch_add(1, std::memory_order_relaxed);
    }
    tensor(tensor&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)),
          element_(other.element_),
          shape_(std::exchange(other.shape_, tensor_shape{0})) {}
    tensor& operator=(tensor other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(element_, other.element_);
        std::swap(shape_, other.shape_);
        return *this;
    }
    ~tensor() {
        if (!memory_ || memory_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        if (memory_->home)
            memory_->home->give(memory_);
        else
            detail::buffer::destroy(memory_);
    }

    dtype element() const { return element_; }
    const tensor_shape& shape() const& { return shape_; }
    tensor_shape shape() && { return shape_; }
    int rank() const { return shape_.rank(); }
    std::int64_t size() const { return shape_.elements(); }
    std::size_t bytes() const { return bytes_of(element_, shape_); }

    /// The elements, row by row. They are shared: what is written here, every handle sees.
    template <class T> T* data() const {
        check<T>();
        return memory_ ? reinterpret_cast<T*>(memory_->data()) : nullptr;
    }
    void* bytes_data() const { return memory_ ? memory_->data() : nullptr; }
    template <class T> std::span<const T> as() const {
        return {data<T>(), static_cast<std::size_t>(size())};
    }
    template <class T> std::vector<T> to_vector() const {
        auto elements = as<T>();
        return {elements.begin(), elements.end()};
    }
    /// The one element.
    template <class T> T item() const {
        check<T>();
        if (size() != 1) {
            text t;
            t << "tensor: item() of the shape ";
            throw mistake(detail::print(t, shape_).view());
        }
        return *data<T>();
    }
    tensor clone() const {
        tensor copy(element_, shape_);
        if (bytes() > 0) std::memcpy(copy.memory_->data(), memory_->data(), bytes());
        return copy;
    }

    /// How many handles share the elements.
    int handles() const { return memory_ ? memory_->owners.load(std::memory_order_acquire) : 0; }
    /// A parameter: functions write to it.
    bool is_live() const { return memory_ && memory_->live; }
    void set_live() { memory_->live = true; }

private:
    detail::buffer* memory_ = nullptr;
    dtype element_ = dtype::float32;
    tensor_shape shape_;

    static std::size_t bytes_of(dtype d, const tensor_shape& shape) {
        return static_cast<std::size_t>(shape.elements()) *
               static_cast<std::size_t>(row_of(d).bytes);
    }
    template <class T> void check() const {
        if (dtype_of<T> == element_) return;
        text t;
        t << "tensor: the elements are " << row_of(element_).name << ", not "
          << row_of(dtype_of<T>).name;
        throw mistake(t.view());
    }
};

namespace detail {

template <class T>
void print_axis(std::ostream& out, const T* elements, const tensor_shape& shape, std::size_t axis,
                std::int64_t edge) {
    if (axis == shape.size()) {
        if constexpr (std::is_same_v<T, bool>)
            out << (*elements ? "true" : "false");
        else
            out << *elements;
        return;
    }
    std::int64_t stride = 1;
    for (auto a = axis + 1; a < shape.size(); ++a) stride *= shape[a];
    out << '[';
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
        if (i > 0) out << (axis + 1 == shape.size() ? ", " : ",\n");
        if (edge > 0 && i == edge && shape[axis] > 2 * edge) {
            out << (axis + 1 == shape.size() ? "..., " : "...,\n");
            i = shape[axis] - edge;
        }
        if (i > 0 && axis + 1 != shape.size()) out << std::string(axis + 1, ' ');
        print_axis(out, elements + i * stride, shape, axis + 1, edge);
    }
    out << ']';
}

/// f(T{}) with the C++ type of a dtype.
template <class F> decltype(auto) with_element(dtype d, F f) {
    switch (d) {
    case dtype::float64: return f(double{});
    case dtype::float32: return f(float{});
    case dtype::boolean: return f(bool{});
    case dtype::int32: return f(std::int32_t{});
    case dtype::int64: break;
    }
    return f(std::int64_t{});
}

}  // namespace detail

/// float32 {2, 2} [[1, 2],\n [3, 4]]; of many elements only those at the ends.
inline std::ostream& operator<<(std::ostream& out, const tensor& x) {
    text head;
    head << row_of(x.element()).name << ' ';
    out << detail::print(head, x.shape()).view() << ' ';
    detail::with_element(x.element(), [&](auto zero) {
        detail::print_axis(out, x.data<decltype(zero)>(), x.shape(), 0, x.size() > 1000 ? 3 : 0);
    });
    return out;
}

}  // namespace etch
