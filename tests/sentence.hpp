// SPDX-License-Identifier: MIT
// What a mistake says.
#pragma once
#include <string>

#include <etch/graph/mistake.hpp>

template <class F> std::string sentence_of(F f) {
    try {
        f();
    } catch (const etch::mistake& m) {
        return m.what();
    }
    return "no mistake";
}
