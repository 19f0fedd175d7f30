// SPDX-License-Identifier: MIT
// Seeds 50 to 59 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 50 to 59") {
    reference::check_compiled_from<50>(std::make_integer_sequence<unsigned, 10>{});
}
