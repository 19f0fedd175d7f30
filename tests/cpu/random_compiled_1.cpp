// SPDX-License-Identifier: MIT
// Seeds 10 to 19 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 10 to 19") {
    reference::check_compiled_from<10>(std::make_integer_sequence<unsigned, 10>{});
}
