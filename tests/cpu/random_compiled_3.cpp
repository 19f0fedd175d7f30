// SPDX-License-Identifier: MIT
// Seeds 30 to 39 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 30 to 39") {
    reference::check_compiled_from<30>(std::make_integer_sequence<unsigned, 10>{});
}
