// SPDX-License-Identifier: MIT
// The first mistake of a constexpr model as the compiler's first error. Before: a model, any
// constant that can be called. After: nothing, or one error line with the whole sentence. It stands
// before every other pass, since the graph of a mistaken model has holes. What users touch begins with
//     static_assert(etch::is_correct<model>);
// which runs the model once; what runs the model itself keeps the graph's sentence and begins with
//     static_assert(etch::detail::reported<found>);  // static constexpr sentence found{...};
// Both are true even after the error, so that no second one follows. What comes after them meets a
// graph that failed().
#pragma once
#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

#include <etch/graph/graph.hpp>

namespace etch {

/// Never defined: the compiler's complaint that it is not shows the sentence.
template <auto... sentence> struct mistake_in_the_model;

namespace detail {

/// A graph's first mistake as a constant; empty where there is none.
struct sentence {
    static constexpr std::size_t most = 1000;
    std::size_t length = 0;
    char characters[most]{};

    constexpr sentence() = default;
    constexpr explicit sentence(std::string_view s) : length(s.size() < most ? s.size() : most) {
        for (std::size_t i = 0; i < length; ++i) characters[i] = s[i];
    }
    constexpr std::size_t size() const { return length; }
    constexpr const char* data() const { return characters; }
    constexpr std::string_view view() const { return {characters, length}; }
};

/// A model's sentence: its run in constant evaluation.
template <auto model> constexpr sentence sentence_of() {
    if constexpr (std::invocable<decltype(model), graph&>) {
        graph g;
        model(g);
        return sentence(g.first_mistake.view());
    } else {
        return sentence("a model is a function of one etch::graph&");
    }
}
template <auto model> inline constexpr sentence mistake_of = sentence_of<model>();

/// Part of a sentence as a template argument. Compilers print an array of characters as a string,
/// clang only where its last element is written to and is 0 and the others are ASCII.
template <std::size_t size> struct piece {
    char characters[size + 1]{};
    constexpr explicit piece(std::string_view s) {
        for (std::size_t i = 0; i < size; ++i)
            characters[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
        characters[size] = 0;
    }
};

/// clang cuts a longer string in its messages; g++ prints it whole.
#if defined(__clang__)
inline constexpr std::size_t longest_piece = 32;
#else
inline constexpr std::size_t longest_piece = sentence::most;
#endif

/// The length of the next piece: to after the last space that fits, or all that fits.
constexpr std::size_t piece_length(std::string_view rest) {
    if (rest.size() <= longest_piece) return rest.size();
    auto space = rest.substr(0, longest_piece).rfind(' ');
    return space == std::string_view::npos ? longest_piece : space + 1;
}
constexpr std::size_t count_pieces(std::string_view s) {
    std::size_t n = 0;
    for (; !s.empty(); ++n) s.remove_prefix(piece_length(s));
    return n;
}
constexpr std::string_view piece_at(std::string_view s, std::size_t i) {
    for (; i > 0; --i) s.remove_prefix(piece_length(s));
    return s.substr(0, piece_length(s));
}

template <const sentence& s, std::size_t i> constexpr auto make_piece() {
    constexpr auto size = piece_at(s.view(), i).size();
    return piece<size>(piece_at(s.view(), i));
}
template <const sentence& s, std::size_t i> inline constexpr auto piece_of = make_piece<s, i>();

template <const sentence& s, class Indices = std::make_index_sequence<count_pieces(s.view())>>
struct report;
template <const sentence& s> struct report<s, std::index_sequence<>> {
    static constexpr bool value = true;
};
#if defined(__cpp_static_assert) && __cpp_static_assert >= 202306L
template <const sentence& s, std::size_t... i> struct report<s, std::index_sequence<i...>> {
    static_assert(s.length == 0, s);
    static constexpr bool value = true;
};
#else
template <const sentence& s, std::size_t... i>
struct report<s, std::index_sequence<i...>> : mistake_in_the_model<piece_of<s, i>...> {
    static constexpr bool value = true;
};
#endif

/// True; a compile error with the sentence where it is not empty.
template <const sentence& s> inline constexpr bool reported = report<s>::value;

}  // namespace detail

/// Whether the model has no mistake. One that has does not compile: the first error line tells it.
template <auto model>
inline constexpr bool is_correct = detail::reported<detail::mistake_of<model>>;

}  // namespace etch
