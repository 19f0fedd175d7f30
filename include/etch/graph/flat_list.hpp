// SPDX-License-Identifier: MIT
// Growing arrays and views of arrays, as std::vector and std::span. The passes run inside the C++ compiler, which pays for
// each function that a call passes through: appending to a std::vector costs g++ 12 20 us there, to a flat_list 4 us, and each
// vector or span of a new type another 20 ms.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <vector>  // std::allocator and std::construct_at, without the rest of <memory>

namespace etch {

template <class T> class flat_list;

/// n elements, as std::array.
template <class T, std::size_t n> struct fixed_list {
    T elements[n == 0 ? 1 : n];

    using value_type = T;
    constexpr T* data() { return elements; }
    constexpr const T* data() const { return elements; }
    static constexpr std::size_t size() { return n; }
    static constexpr bool empty() { return n == 0; }
    constexpr T* begin() { return elements; }
    constexpr T* end() { return elements + n; }
    constexpr const T* begin() const { return elements; }
    constexpr const T* end() const { return elements + n; }
    constexpr T& operator[](std::ptrdiff_t i) { return elements[i]; }
    constexpr const T& operator[](std::ptrdiff_t i) const { return elements[i]; }
    constexpr bool operator==(const fixed_list&) const = default;
};

/// Contiguous elements that something else owns. It is made from whatever has data() and size().
template <class T> class flat_view {
public:
    using value_type = std::remove_const_t<T>;
    T* elements = nullptr;  // public, as those of a flat_list are
    std::size_t count = 0;

    constexpr flat_view() = default;
    constexpr flat_view(T* first, std::size_t n) : elements(first), count(n) {}
    constexpr flat_view(T* first, T* last)
        : elements(first), count(static_cast<std::size_t>(last - first)) {}
    template <std::size_t n> constexpr flat_view(T (&all)[n]) : elements(all), count(n) {}
    constexpr flat_view(flat_list<value_type>& all) : elements(all.elements), count(all.count) {}
    constexpr flat_view(const flat_list<value_type>& all) requires(std::is_const_v<T>)
        : elements(all.elements), count(all.count) {}
    template <class All>
    requires(!std::is_same_v<All, flat_view> &&
             requires(T * &to, const All& all) {
                 to = all.data();
                 all.size();
             }) constexpr flat_view(const All& all)
        : elements(all.data()), count(all.size()) {}

    constexpr T* data() const { return elements; }
    constexpr std::size_t size() const { return count; }
    constexpr bool empty() const { return count == 0; }
    constexpr T* begin() const { return elements; }
    constexpr T* end() const { return elements + count; }
    constexpr T& operator[](std::ptrdiff_t i) const { return elements[i]; }
    constexpr T& front() const { return elements[0]; }
    constexpr T& back() const { return elements[count - 1]; }
    constexpr flat_view first(std::size_t n) const { return {elements, n}; }
    constexpr flat_view subspan(std::size_t from) const { return {elements + from, count - from}; }
    constexpr flat_view subspan(std::size_t from, std::size_t n) const {
        return {elements + from, n};
    }
};

/// A growing array of its own elements.
template <class T> class flat_list {
public:
    using value_type = T;
    T* elements = nullptr;  // data() and size(), where even that call is too much
    std::size_t count = 0;

    constexpr flat_list() = default;
    constexpr explicit flat_list(std::size_t n) { resize(n); }
    constexpr flat_list(std::size_t n, const T& x) { resize(n, x); }
    constexpr flat_list(std::initializer_list<T> all) { append(all); }
    template <class U> constexpr flat_list(const U* first, const U* last) {
        append(flat_view<const U>(first, last));
    }
    template <class U> constexpr explicit flat_list(flat_view<U> all) { append(all); }
    template <class Allocator> constexpr flat_list(const std::vector<T, Allocator>& all) {
        append(all);
    }
    constexpr flat_list(const flat_list& other) { append(other); }
    constexpr flat_list(flat_list&& other) noexcept
        : elements(other.elements), count(other.count), room(other.room) {
        other.elements = nullptr;
        other.count = other.room = 0;
    }
    constexpr flat_list& operator=(const flat_list& other) {
        if (this != &other) assign(other);
        return *this;
    }
    constexpr flat_list& operator=(flat_list&& other) noexcept {
        swap(other);
        return *this;
    }
    constexpr ~flat_list() {
        destroy(elements, elements + count);
        release(elements, room);
    }

    constexpr T* data() { return elements; }
    constexpr const T* data() const { return elements; }
    constexpr std::size_t size() const { return count; }
    constexpr bool empty() const { return count == 0; }
    constexpr T* begin() { return elements; }
    constexpr T* end() { return elements + count; }
    constexpr const T* begin() const { return elements; }
    constexpr const T* end() const { return elements + count; }
    constexpr T& operator[](std::ptrdiff_t i) { return elements[i]; }
    constexpr const T& operator[](std::ptrdiff_t i) const { return elements[i]; }
    constexpr T& front() { return elements[0]; }
    constexpr const T& front() const { return elements[0]; }
    constexpr T& back() { return elements[count - 1]; }
    constexpr const T& back() const { return elements[count - 1]; }

    constexpr void reserve(std::size_t n) {
        if (n > room) move_to(n);
    }
    constexpr void push_back(const T& x) {
        if (count == room) return append_when_full(x);
        if constexpr (plain)
            elements[count] = x;
        else
            std::construct_at(elements + count, x);
        ++count;
    }
    constexpr void push_back(T&& x) {
        if (count == room) return append_when_full(static_cast<T&&>(x));
        if constexpr (plain)
            elements[count] = x;
        else
            std::construct_at(elements + count, static_cast<T&&>(x));
        ++count;
    }
    constexpr void pop_back() {
        --count;
        if constexpr (!plain) destroy(elements + count, elements + count + 1);
    }
    /// All elements of another array behind those that are there.
    template <class All> constexpr void append(const All& all) {
        make_room(all.size());
        for (const auto& x : all) {
            if constexpr (plain)
                elements[count] = static_cast<T>(x);
            else
                std::construct_at(elements + count, x);
            ++count;
        }
    }
    constexpr T* insert(const T* where, const T& x) {
        auto i = where - elements;
        push_back(x);
        for (auto k = static_cast<std::ptrdiff_t>(count) - 1; k > i; --k) {
            T moved = static_cast<T&&>(elements[k]);
            elements[k] = static_cast<T&&>(elements[k - 1]);
            elements[k - 1] = static_cast<T&&>(moved);
        }
        return elements + i;
    }
    constexpr T* erase(const T* where) {
        T* hole = elements + (where - elements);
        for (T* next = hole + 1; next != elements + count; ++next)
            next[-1] = static_cast<T&&>(*next);
        pop_back();
        return hole;
    }
    constexpr void resize(std::size_t n) { resize(n, T{}); }
    constexpr void resize(std::size_t n, const T& x) {
        while (count > n) pop_back();
        if (n > room) make_room(n - count);
        for (; count < n; ++count)
            if constexpr (plain)
                elements[count] = x;
            else
                std::construct_at(elements + count, x);
    }
    constexpr void assign(std::size_t n, const T& x) {
        clear();
        resize(n, x);
    }
    template <class All> constexpr void assign(const All& all) {
        clear();
        append(all);
    }
    constexpr void clear() {
        if constexpr (!plain) destroy(elements, elements + count);
        count = 0;
    }
    constexpr void swap(flat_list& other) {
        T* swapped = other.elements;
        std::size_t other_count = other.count, other_room = other.room;
        other.elements = elements, other.count = count, other.room = room;
        elements = swapped, count = other_count, room = other_room;
    }
    friend constexpr bool operator==(const flat_list& a, const flat_list& b) {
        if (a.count != b.count) return false;
        for (std::size_t i = 0; i < a.count; ++i)
            if (!(a.elements[i] == b.elements[i])) return false;
        return true;
    }

private:
    // Elements that need no constructor are assigned, which constant evaluation allows for an array of them.
    static constexpr bool plain =
        std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>;
    std::size_t room = 0;

    static constexpr T* allocate(std::size_t n) {
        if constexpr (plain)
            return new T[n];
        else
            return std::allocator<T>().allocate(n);
    }
    static constexpr void release(T* data, [[maybe_unused]] std::size_t n) {
        if (data == nullptr) return;
        if constexpr (plain)
            delete[] data;
        else
            std::allocator<T>().deallocate(data, n);
    }
    static constexpr void destroy([[maybe_unused]] T* first, [[maybe_unused]] T* last) {
        if constexpr (!std::is_trivially_destructible_v<T>)
            for (; first != last; ++first) std::destroy_at(first);
    }
    // Never inlined: g++ 12 follows what is copied into rooms of known size, and warns of copies that cannot be.
    [[gnu::noinline]] constexpr void move_to(std::size_t n) {
        T* fresh = allocate(n);
        for (std::size_t i = 0; i < count; ++i)
            if constexpr (plain)
                fresh[i] = elements[i];
            else
                std::construct_at(fresh + i, static_cast<T&&>(elements[i]));
        destroy(elements, elements + count);
        release(elements, room);
        elements = fresh;
        room = n;
    }
    constexpr void make_room(std::size_t more) {
        if (count + more > room) move_to(count + more > 2 * room ? count + more : 2 * room);
    }
    constexpr void append_when_full(T x) {  // x may be an element of this flat_list
        move_to(room == 0 ? 4 : 2 * room);
        push_back(static_cast<T&&>(x));
    }
};

}  // namespace etch
