// SPDX-License-Identifier: MIT
// Seeds 20 to 29 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 20 to 29") {
    reference::check_compiled_from<20>(std::make_integer_sequence<unsigned, 10>{});
}
