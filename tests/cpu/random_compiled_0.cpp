// SPDX-License-Identifier: MIT
// Seeds 0 to 9 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 0 to 9") {
    reference::check_compiled_from<0>(std::make_integer_sequence<unsigned, 10>{});
}
