// SPDX-License-Identifier: MIT
// Seeds 90 to 99 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 90 to 99") {
    reference::check_compiled_from<90>(std::make_integer_sequence<unsigned, 10>{});
}
