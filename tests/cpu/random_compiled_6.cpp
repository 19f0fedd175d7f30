// SPDX-License-Identifier: MIT
// Seeds 60 to 69 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 60 to 69") {
    reference::check_compiled_from<60>(std::make_integer_sequence<unsigned, 10>{});
}
