// SPDX-License-Identifier: MIT
// Seeds 70 to 79 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 70 to 79") {
    reference::check_compiled_from<70>(std::make_integer_sequence<unsigned, 10>{});
}
