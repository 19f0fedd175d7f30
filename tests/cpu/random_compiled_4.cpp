// SPDX-License-Identifier: MIT
// Seeds 40 to 49 of random_compiled.hpp.
#include "catch.hpp"

#include "random_compiled.hpp"

TEST_CASE("random models as compiled kernels, 40 to 49") {
    reference::check_compiled_from<40>(std::make_integer_sequence<unsigned, 10>{});
}
