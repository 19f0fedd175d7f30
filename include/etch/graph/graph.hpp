// SPDX-License-Identifier: MIT
// The one representation of a program: a flat arena of nodes in topological order. It is the same class in a constant
// expression and at run time. Equal nodes are stored once; nodes that carry an ordinal (inputs, parameters, random
// draws, identities) are never equal. A loop's body lies in the same arena: its nodes are those that depend on the
// loop's own placeholders (`node::loop`), so every pass that walks the arena handles inner graphs.
#pragma once
#include <bit>
#include <source_location>
#include <string_view>
#include <type_traits>

#include <etch/graph/flat_list.hpp>
#include <etch/graph/mistake.hpp>
#include <etch/graph/node.hpp>
#include <etch/graph/text.hpp>

namespace etch {

/// How a parameter's first value is drawn; a and b are the constant, the bounds, or mean and standard deviation.
struct initial_value {
    enum class kind : std::uint8_t { constant, uniform, normal } how = kind::constant;
    double a = 0, b = 0;
    constexpr bool operator==(const initial_value&) const = default;
};

struct graph_input {
    int value;
    range_of name;
};
struct graph_output {
    int value;
    range_of name;
};
struct graph_parameter {
    int value;
    range_of name;
    initial_value initial;
    int update = -1;        // the value that it takes after a call, -1: it stays
    bool trainable = true;  // false for what optimizers and random numbers keep
};
/// A condition on the dims that only a call can check: the extent must be >= `minimum`.
struct graph_condition {
    extent size;
    std::int64_t minimum;
    range_of sentence;
};

/// Two extents that a shape rule needs equal: of two operands of `op`, which otherwise do not broadcast or join (`what`).
struct joint {
    std::string_view op, what;
    type first, second;
    extent a, b;
};

class scope_guard;
class dim;
struct expr;
struct operand;

class graph {
    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
    template <class T> static constexpr bool equal(flat_view<const T> a, flat_view<const T> b) {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i)
            if (a[i] != b[i]) return false;
        return true;
    }

public:
    flat_list<node> nodes;
    flat_list<value> values;
    flat_list<int> operand_pool;
    flat_list<std::int64_t> attribute_pool;
    flat_list<type> types;
    flat_list<polynomial> polynomials;
    flat_list<range_of> dims;   // names
    flat_list<range_of> files;  // names
    flat_list<char> characters;
    flat_list<graph_input> inputs;
    flat_list<graph_output> outputs;
    flat_list<graph_parameter> parameters;
    flat_list<graph_condition> conditions;
    flat_list<int> loop_parents;  // for each loop: the loop around it, or -1
    text prefix;                  // of names, from g.scope()
    text first_mistake;
    int ordinal = 0;          // of the next draw or identity
    int open_loop = -1;       // the loop whose body is being written
    int key = -1;             // the value of the random key, once something draws
    int depth = 0;            // depth of the user-visible calls that are running
    int file = -1, line = 0;  // of the outermost of them

    /// Where set, extents that should be equal are taken so, and noted here: see agree().
    flat_list<joint>* joints = nullptr;

    constexpr graph() {
        // Moving elements when a vector grows is what constant evaluation is slowest at: 0.7 ms a node against 0.2.
        if (!std::is_constant_evaluated()) return;
        constexpr std::size_t many = 4096;
        nodes.reserve(many);
        values.reserve(many);
        hashes.reserve(many);
        operand_pool.reserve(2 * many);
        attribute_pool.reserve(2 * many);
        characters.reserve(2 * many);
        types.reserve(256);
        parameters.reserve(256);
        polynomials.reserve(64);
        table.assign(1024, -1);
    }
    graph(const graph&) = delete;  // expressions point to their graph
    graph& operator=(const graph&) = delete;

    // ---- pools ------------------------------------------------------------------------------------------------
    constexpr const node& node_of(int v) const { return nodes.elements[values.elements[v].node]; }
    constexpr const type& type_of(int v) const { return types.elements[values.elements[v].type]; }
    constexpr int result_index(int v) const { return v - node_of(v).results.first; }
    constexpr flat_view<const int> operands(const node& n) const {
        return {operand_pool.elements + n.operands.first,
                static_cast<std::size_t>(n.operands.count)};
    }
    constexpr flat_view<const std::int64_t> attributes(const node& n) const {
        return {attribute_pool.elements + n.attributes.first,
                static_cast<std::size_t>(n.attributes.count)};
    }
    constexpr std::string_view name(range_of r) const {
        return {characters.elements + r.first, static_cast<std::size_t>(r.count)};
    }
    constexpr range_of store(std::string_view s) {
        range_of r{static_cast<int>(characters.size()), static_cast<int>(s.size())};
        characters.append(s);
        return r;
    }
    constexpr int intern(const type& t) {
        for (auto i = types.size(); i-- > 0;)
            if (types[i] == t) return static_cast<int>(i);
        types.push_back(t);
        return static_cast<int>(types.size()) - 1;
    }

    // ---- extents ----------------------------------------------------------------------------------------------
    constexpr polynomial polynomial_of(extent e) const {
        return e.is_static() ? polynomial::of_number(e.code) : polynomials[e.polynomial()];
    }
    constexpr extent intern(const polynomial& p) {
        if (p.overflow) {
            fail(text{} << "extent: a polynomial in the dims has more than " << max_terms
                        << " terms");
            return {1};
        }
        if (p.is_number() && p.number() >= 0) return {p.number()};
        for (std::size_t i = 0; i < polynomials.size(); ++i)
            if (polynomials[i] == p) return {-1 - static_cast<std::int64_t>(i)};
        polynomials.push_back(p);
        return {-static_cast<std::int64_t>(polynomials.size())};
    }
    constexpr extent add(extent a, extent b) {
        if (a.is_static() && b.is_static()) return {a.code + b.code};
        return intern(polynomial_of(a) + polynomial_of(b));
    }
    constexpr extent subtract(extent a, extent b) {
        if (a.is_static() && b.is_static() && a.code >= b.code) return {a.code - b.code};
        return intern(polynomial_of(a) - polynomial_of(b));
    }
    constexpr extent multiply(extent a, extent b) {
        if (a.is_static() && b.is_static()) return {a.code * b.code};
        return intern(polynomial_of(a) * polynomial_of(b));
    }
    constexpr extent size_of(const type& t) {
        extent n{1};
        for (int i = 0; i < t.rank; ++i) n = multiply(n, t[i]);
        return n;
    }
    /// Whether two extents are equal, or are taken so: a is of s and b of t, the operands of an op.
    constexpr bool agree(std::string_view op, std::string_view what, const type& s, const type& t,
                         extent a, extent b) const {
        if (a == b) return true;
        if (!joints || (a.is_static() && b.is_static())) return false;
        joints->push_back({op, what, s, t, a, b});
        return true;
    }
    /// Asks every call to check that e >= minimum; a static extent is checked at once.
    constexpr void require(extent e, std::int64_t minimum, std::string_view sentence) {
        auto p = polynomial_of(e);
        if (p.is_number()) {
            if (p.number() < minimum) fail(text{} << sentence);
            return;
        }
        for (const auto& c : conditions)
            if (c.size == e && c.minimum == minimum && name(c.sentence).starts_with(sentence))
                return;
        text full;
        full << sentence;
        append_line(full);
        conditions.push_back({e, minimum, store(full.view())});
    }

    // ---- nodes ------------------------------------------------------------------------------------------------
    /// Appends a node, or finds the equal one, and returns its first result.
    constexpr int append(op_id op, flat_view<const int> operand_list,
                         flat_view<const std::int64_t> attribute_list,
                         flat_view<const type> results, int loop = -1) {
        for (int v : operand_list) loop = inner_of(loop, node_of(v).loop);
        auto hash = hash_of(op, operand_list, attribute_list);
        if (2 * (nodes.size() + 1) > table.size()) grow();
        auto slot = hash & (table.size() - 1);
        for (; table[slot] >= 0; slot = (slot + 1) & (table.size() - 1)) {
            const node& n = nodes[table[slot]];
            if (n.op == op && hashes[table[slot]] == hash && equal(operands(n), operand_list) &&
                equal(attributes(n), attribute_list) && type_of(n.results.first) == results[0])
                return n.results.first;
        }
        int id = static_cast<int>(nodes.size());
        table[slot] = id;
        hashes.push_back(hash);
        node n;
        n.op = op;
        n.operands = {static_cast<int>(operand_pool.size()), static_cast<int>(operand_list.size())};
        n.attributes = {static_cast<int>(attribute_pool.size()),
                        static_cast<int>(attribute_list.size())};
        n.results = {static_cast<int>(values.size()), static_cast<int>(results.size())};
        n.file = file;
        n.line = line;
        n.loop = loop;
        for (int v : operand_list) operand_pool.push_back(v);
        for (auto a : attribute_list) attribute_pool.push_back(a);
        for (const auto& t : results) values.push_back({id, intern(t)});
        nodes.push_back(n);
        return n.results.first;
    }
    /// Of two loops of which one contains the other, the inner; anything else is the user's mistake.
    constexpr int inner_of(int a, int b) {
        if (a == b || b < 0) return a;
        if (a < 0) return b;
        for (int l = a; l >= 0; l = loop_parents[l])
            if (l == b) return a;
        for (int l = b; l >= 0; l = loop_parents[l])
            if (l == a) return b;
        fail(text{} << "scan: a value of one loop is used in the body of another");
        return a;
    }

    // ---- the user's line --------------------------------------------------------------------------------------
    constexpr void locate(const std::source_location& where) {
        if (where.line() == 0) return;  // nobody's line
        std::string_view path = base_name(where.file_name());
        line = static_cast<int>(where.line());
        if (file >= 0 && name(files[file]) == path) return;
        for (std::size_t i = 0; i < files.size(); ++i)
            if (name(files[i]) == path) {
                file = static_cast<int>(i);
                return;
            }
        files.push_back(store(path));
        file = static_cast<int>(files.size()) - 1;
    }
    constexpr void append_line(text& t) const {
        if (file >= 0) t << " (" << name(files[file]) << ':' << line << ')';
    }

    /// The first mistake of a model in constant evaluation is kept, and the model runs on with harmless nodes; at run
    /// time it is thrown.
    constexpr void fail(const text& sentence) {
        if (!first_mistake.empty()) return;
        first_mistake << sentence.view();
        append_line(first_mistake);
        if (!std::is_constant_evaluated()) {
            text copy;
            copy << first_mistake.view();
            first_mistake = {};
            depth = 0;
            throw mistake(copy.view());
        }
    }
    constexpr bool failed() const { return !first_mistake.empty(); }

    /// An empty graph that shares this one's tables: types, extents, dims, names, inputs and parameters keep their
    /// numbers. Passes that rebuild a program write into one.
    constexpr void share_tables(graph& fresh) const {
        fresh.types = types;
        fresh.polynomials = polynomials;
        fresh.dims = dims;
        fresh.files = files;
        fresh.characters = characters;
        fresh.conditions = conditions;
        fresh.loop_parents = loop_parents;
        fresh.ordinal = ordinal;
    }

    // ---- what a model says of itself: defined in expr/model.hpp -------------------------------------------------
    constexpr etch::dim dim(std::string_view name,
                            std::source_location where = std::source_location::current());
    template <class T>
    constexpr expr input(std::string_view name, flat_view<const etch::dim> shape,
                         std::source_location where = std::source_location::current());
    template <class T>
    constexpr expr input(std::string_view name, std::initializer_list<etch::dim> shape,
                         std::source_location where = std::source_location::current());
    template <class T, class Initializer>
    constexpr expr param(std::string_view name, flat_view<const etch::dim> shape,
                         Initializer initializer,
                         std::source_location where = std::source_location::current());
    template <class T, class Initializer>
    constexpr expr param(std::string_view name, std::initializer_list<etch::dim> shape,
                         Initializer initializer,
                         std::source_location where = std::source_location::current());
    constexpr expr parameter(std::string_view name,
                             std::source_location where = std::source_location::current());
    constexpr flat_list<expr> trainable();
    constexpr void output(std::string_view name, const operand& x);
    constexpr void update(expr parameter, const operand& x);
    template <class Optimizer> constexpr void minimize(const operand& loss, Optimizer optimizer);
    [[nodiscard]] constexpr scope_guard scope(std::string_view name);
    [[nodiscard]] constexpr scope_guard scope(std::string_view name, int number);

private:
    flat_list<int> table = flat_list<int>(64, -1);  // open addressing, by hash
    flat_list<std::uint64_t> hashes;                // of each node

    static constexpr std::uint64_t hash_of(op_id op, flat_view<const int> operand_list,
                                           flat_view<const std::int64_t> attribute_list) {
        std::uint64_t h = op;
        for (int v : operand_list) h = mix(h, static_cast<std::uint64_t>(v));
        for (auto a : attribute_list) h = mix(h, static_cast<std::uint64_t>(a));
        return h;
    }
    constexpr void grow() {
        table = flat_list<int>(table.size() * 4, -1);
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            auto slot = hashes[i] & (table.size() - 1);
            while (table[slot] >= 0) slot = (slot + 1) & (table.size() - 1);
            table[slot] = static_cast<int>(i);
        }
    }
};

}  // namespace etch
