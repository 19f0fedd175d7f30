// SPDX-License-Identifier: MIT
// Seeds 80 to 89 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 80 to 89") {
    reference::check_compiled_from<80>(std::make_integer_sequence<unsigned, 10>{});
}
