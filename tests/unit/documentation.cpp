// SPDX-License-Identifier: MIT
// docs/language.md names all that there is: every op of the table, every public function of the language, every layer,
// initializer and optimizer, and what calls a model. The functions are read from the headers themselves. README.md shows
// the model of examples/digits.cpp.
#include "catch.hpp"

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <etch/expr/formulas.hpp>

namespace {

namespace files = std::filesystem;
const files::path root = files::path(__FILE__).parent_path() / ".." / "..";

std::string contents(const files::path& path) {
    std::ifstream file(path);
    std::ostringstream s;
    s << file.rdbuf();
    return s.str();
}

/// Names that stand in the page as code: a ` before them, perhaps with what qualifies them, and no letter behind.
std::set<std::string> names_of_the_page() {
    const std::string page = contents(root / "docs" / "language.md");
    std::set<std::string> names;
    const std::regex code("`([^`\n]+)`"), name("[A-Za-z_][A-Za-z_0-9]*");
    for (std::sregex_iterator c(page.begin(), page.end(), code), end; c != end; ++c) {
        const std::string piece = (*c)[1];
        for (std::sregex_iterator n(piece.begin(), piece.end(), name); n != end; ++n)
            names.insert(n->str());
    }
    return names;
}

/// What a header declares at the start of a line, outside of namespaces that are not for users. Structs only where asked.
std::set<std::string> names_of_header(const files::path& path, bool structs) {
    std::set<std::string> names;
    const std::regex function(
        R"(^(?:template <.*> )?constexpr (?:expr|expr_list|flat_list<expr_list>|scan_results?|dim|indexed_name|bool) (\w+)\(.*)");
    const std::regex type(R"(^struct (\w+) \{.*)");
    std::istringstream lines(contents(path));
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line == "namespace detail {") inside = true;
        if (line == "}  // namespace detail") inside = false;
        std::smatch found;
        if (inside || !(std::regex_match(line, found, function) ||
                        (structs && std::regex_match(line, found, type))))
            continue;
        const std::string name = found[1];
        if (!name.ends_with("_flag")) names.insert(name);
    }
    return names;
}

}  // namespace

TEST_CASE("the page of the language names every op") {
    const auto page = names_of_the_page();
    REQUIRE(page.size() > 100);
    for (const auto& row : etch::op_table) {
        INFO(row.name);
        CHECK(page.contains(std::string(row.name)));
    }
}

TEST_CASE("the page of the language names every public function") {
    const auto page = names_of_the_page();
    const std::set<std::string> internal{"apply", "derivative",
                                         "poison"};  // what rows are written with
    std::size_t checked = 0;
    for (const char* folder : {"ops", "expr", "nn"})
        for (const auto& entry : files::directory_iterator(root / "include" / "etch" / folder))
            for (const auto& name : names_of_header(entry.path(), std::string(folder) == "nn")) {
                if (internal.contains(name)) continue;
                INFO(entry.path().filename().string() << ": " << name);
                CHECK(page.contains(name));
                ++checked;
            }
    for (const auto& name :
         names_of_header(root / "include" / "etch" / "passes" / "derivative.hpp", false)) {
        INFO(name);
        CHECK(page.contains(name));
        ++checked;
    }
    CHECK(checked > 100);
}

TEST_CASE("the page of the language names what a graph and a call have") {
    const auto page = names_of_the_page();
    for (const char* name : {"dim",
                             "input",
                             "param",
                             "output",
                             "update",
                             "minimize",
                             "scope",
                             "all",
                             "none",
                             "range",
                             "keepdims",
                             "allow_disconnected",
                             "no_bias",
                             "plan",
                             "is_correct",
                             "kernels",
                             "distinct_kernels",
                             "gemms",
                             "bytes",
                             "state_bytes",
                             "flops",
                             "plan_options",
                             "assume_finite",
                             "in_place",
                             "debugprint",
                             "to_dot",
                             "simplify",
                             "verify",
                             "function",
                             "compile",
                             "state",
                             "seed",
                             "tensor",
                             "view",
                             "permutation",
                             "threads",
                             "mistake",
                             "names",
                             "contains",
                             "set",
                             "clone",
                             "full",
                             "zeros",
                             "element",
                             "shape",
                             "rank",
                             "size",
                             "data",
                             "as",
                             "to_vector",
                             "item",
                             "get",
                             "ETCH_THREADS",
                             "expr",
                             "operand",
                             "initial_value"}) {
        INFO(name);
        CHECK(page.contains(name));
    }
}

TEST_CASE("the model of README.md is the one of the example") {
    const std::string example = contents(root / "examples" / "digits.cpp"), begin = "// [model]\n",
                      end = "// [/model]\n";
    const auto first = example.find(begin), last = example.find(end);
    REQUIRE(first != std::string::npos);
    REQUIRE(last != std::string::npos);
    const std::string model = example.substr(first + begin.size(), last - first - begin.size());
    CHECK(contents(root / "README.md").find(model) != std::string::npos);
}
