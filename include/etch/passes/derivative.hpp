// SPDX-License-Identifier: MIT
// Reverse-mode derivatives. Before: any graph. After: the same graph with the cotangents appended; nothing is
// rewritten, so that a derivative can be differentiated again. The rules are the rows' own, formulas over expr; only
// scan's stands here, since it is this pass once more, over the loop's body.
#pragma once
#include <etch/passes/recompute.hpp>
#include <etch/passes/substitute.hpp>

namespace etch {

namespace detail {

/// What a run of the pass needs to know of one loop's body: values outside of `loop` are independent there.
constexpr bool within(const graph& g, const node& n, int loop) {
    return loop < 0 || inside(g, n.loop, loop);
}

constexpr flat_list<int> scan_derivative(graph& g, int at, flat_view<const int> dys);

constexpr flat_list<summand> recomputed_derivative(graph& g, int v, int dy,
                                                   flat_view<const int> xs);

/// Cotangents of xs, given those of ys; -1 where no path leads. In a body, only its own nodes are differentiated.
constexpr flat_list<int> propagate(graph& g, flat_view<const int> ys,
                                   flat_view<const int> cotangents, flat_view<const int> xs,
                                   const propagation& how = {}) {
    const int loop = how.loop;
    int top = -1;
    for (int y : ys) top = y > top ? y : top;
    // After a call that appends, spans and references into the graph are stale: everything is looked up anew.
    flat_list<char> depends(static_cast<std::size_t>(top + 1), 0);
    for (int x : xs)
        if (x <= top) depends[static_cast<std::size_t>(x)] = 1;
    int last = how.only.empty() ? g.values[static_cast<std::size_t>(top)].node
                                : static_cast<int>(how.only.size()) - 1;
    auto visited = [&](int k) {
        return how.only.empty() ? k : how.only[static_cast<std::size_t>(k)];
    };
    for (int k = 0; k <= last; ++k) {
        const node& n = g.nodes[static_cast<std::size_t>(visited(k))];
        if (row_of(n).cuts || !within(g, n, loop)) continue;
        bool any = false;
        for (int u : g.operands(n)) any = any || depends[static_cast<std::size_t>(u)];
        if (!any) continue;
        for (int r = 0; r < n.results.count; ++r)
            if (n.results.first + r <= top && is_floating(g.type_of(n.results.first + r).element))
                depends[static_cast<std::size_t>(n.results.first + r)] = 1;
    }
    flat_list<int> adjoint(static_cast<std::size_t>(top + 1), -1);
    auto accumulate = [&](int v, expr dy) {
        int& a = adjoint[static_cast<std::size_t>(v)];
        a = a < 0 ? dy.id : (expr{&g, a} + dy).id;
    };
    for (std::size_t i = 0; i < ys.size(); ++i)
        if (depends[static_cast<std::size_t>(ys[i])] && cotangents[i] >= 0)
            accumulate(ys[i], {&g, cotangents[i]});
    flat_list<int> inside(xs.size(), -1);  // of xs in what is computed again
    for (int place = last; place >= 0 && !g.failed(); --place) {
        const int i = visited(place);
        const node n = g.nodes[static_cast<std::size_t>(i)];
        if (n.operands.count == 0 || row_of(n).cuts || !within(g, n, loop)) continue;
        flat_list<int> dys;
        bool any = false;
        for (int r = 0; r < n.results.count; ++r) {
            int v = n.results.first + r;
            dys.push_back(v <= top ? adjoint[static_cast<std::size_t>(v)] : -1);
            any = any || dys.back() >= 0;
        }
        if (!any) continue;
        if (n.op == op_of<scan_row>()) {
            auto d = scan_derivative(g, i, dys);
            for (int k = 0; k < n.operands.count; ++k) {
                int u = g.operands(n)[static_cast<std::size_t>(k)];
                if (d[static_cast<std::size_t>(k)] >= 0 && depends[static_cast<std::size_t>(u)])
                    accumulate(u, {&g, d[static_cast<std::size_t>(k)]});
            }
            continue;
        }
        if (how.recompute && loop < 0 && is_marked(g, n.results.first, recomputed_mark) &&
            is_computed_from_something(g, dys[0])) {
            for (const auto& s : recomputed_derivative(g, g.operands(n)[0], dys[0], xs)) {
                if (s.to < 0) {
                    int& sum = inside[static_cast<std::size_t>(-1 - s.to)];
                    sum = sum < 0 ? s.cotangent : (expr{&g, sum} + expr{&g, s.cotangent}).id;
                } else if (depends[static_cast<std::size_t>(s.to)]) {
                    accumulate(s.to, {&g, s.cotangent});
                }
            }
            continue;
        }
        for (int k = 0; k < n.operands.count; ++k) {
            int u = g.operands(n)[static_cast<std::size_t>(k)];
            if (!depends[static_cast<std::size_t>(u)] || !is_floating(g.type_of(u).element))
                continue;
            expr d = row_of(n).derivative(pullback<expr>{g, i, k, dys});
            if (d.valid()) accumulate(u, d);
        }
    }
    flat_list<int> result;
    for (std::size_t k = 0; k < xs.size(); ++k) {
        int d = xs[k] <= top ? adjoint[static_cast<std::size_t>(xs[k])] : -1, e = inside[k];
        result.push_back(d < 0 ? e : e < 0 ? d : (expr{&g, d} + expr{&g, e}).id);
    }
    return result;
}

/// The cotangents that a marked value hands on, taken through a copy of what led to it: `to` is a value before the mark,
/// or -1 - k for xs[k], which lies inside.
constexpr flat_list<summand> recomputed_derivative(graph& g, int v, int dy,
                                                   flat_view<const int> xs) {
    auto region = region_beneath(g, v);
    if (region.nodes.empty()) return {{v, dy}};
    auto copy = copy_region(g, region, {&g, dy});
    flat_list<int> targets, to;
    auto add = [&](int fresh, int place) {
        if (!is_floating(g.type_of(fresh).element)) return;
        targets.push_back(fresh);
        to.push_back(place);
    };
    for (int b : region.begins) add(copy.of(b), b);
    for (int l : region.leaves) add(l, l);
    for (std::size_t k = 0; k < xs.size(); ++k) {
        bool lies_inside = false;
        if (static_cast<std::size_t>(xs[k]) < copy.now.size() && copy.of(xs[k]) >= 0)
            for (int i : region.nodes)
                lies_inside = lies_inside || g.values[static_cast<std::size_t>(xs[k])].node == i;
        if (lies_inside) add(copy.of(xs[k]), -1 - static_cast<int>(k));
    }
    int y = copy.of(v);
    auto d = propagate(g, flat_view<const int>(&y, 1), flat_view<const int>(&dy, 1), targets,
                       {.only = copy.nodes});
    flat_list<summand> result;
    for (std::size_t i = 0; i < d.size(); ++i)
        if (d[i] >= 0) result.push_back({to[i], d[i]});
    return result;
}

/// The reverse scan: it walks the steps backwards, carries the carries' cotangents and the sums of the captured values'
/// ones, and stacks those of the slices. Its body is the body's derivative; the values before each step, and what the
/// step computed at some cost, were stacked by the forward scan.
constexpr flat_list<int> scan_derivative(graph& g, int at, flat_view<const int> dys) {
    const node n = g.nodes[static_cast<std::size_t>(at)];
    const words attributes(g.attributes(n).begin(), g.attributes(n).end());
    const flat_list<int> operands(g.operands(n).begin(), g.operands(n).end());
    loop_view l{attributes};
    int loop = l.loop();
    auto zeros = [&](const type& t) { return broadcast(scalar(g, t.element, 0), t).id; };
    auto floating = [&](int v) { return is_floating(g.type_of(v).element); };

    // Stacked values of the carries before each step: results of this scan.
    flat_list<int> before;
    for (int c = 0; c < l.carries(); ++c) {
        int stack = -1;
        for (int s = 0; s < l.stacks(); ++s)
            if (l.stacked(s) == l.carry(c)) stack = n.results.first + l.carries() + s;
        before.push_back(stack);
    }
    flat_list<int> sequences, slices, first, carries, next, stacked;
    auto add_sequence = [&](int v, int slice) {
        sequences.push_back(v);
        slices.push_back(slice);
    };
    auto add_carry = [&](int initial, const type& t) {
        first.push_back(initial);
        carries.push_back(placeholder(g, t, loop).id);
        return carries.back();
    };
    for (int s = 0; s < l.sequences(); ++s)
        add_sequence(operands[static_cast<std::size_t>(s)], l.slice(s));
    for (int c = 0; c < l.carries(); ++c) {
        if (before[static_cast<std::size_t>(c)] < 0) {
            g.fail(text{} << "scan: its derivative needs the carried values before each step, "
                             "which are not stacked");
            return flat_list<int>(operands.size(), -1);
        }
        add_sequence(before[static_cast<std::size_t>(c)], l.carry(c));
    }
    flat_list<int> ys, cotangents, xs, dcarry;
    for (int c = 0; c < l.carries(); ++c) {
        if (!floating(l.carry(c))) {
            dcarry.push_back(-1);
            continue;
        }
        int dy = dys[static_cast<std::size_t>(c)];
        type t = g.type_of(l.carry(c));
        dcarry.push_back(add_carry(dy >= 0 ? dy : zeros(t), t));
        ys.push_back(l.next(c));
        cotangents.push_back(dcarry.back());
    }
    for (int s = 0; s < l.stacks(); ++s) {
        int dy = dys[static_cast<std::size_t>(l.carries() + s)];
        if (dy < 0) continue;
        int slice = placeholder(g, g.type_of(l.stacked(s)), loop).id;
        add_sequence(dy, slice);
        ys.push_back(l.stacked(s));
        cotangents.push_back(slice);
    }
    for (int i = 0; i < l.sequences(); ++i) xs.push_back(l.slice(i));
    for (int i = 0; i < l.carries(); ++i) xs.push_back(l.carry(i));
    int kept = l.sequences() + l.carries();
    for (std::size_t k = static_cast<std::size_t>(kept); k < operands.size(); ++k)
        xs.push_back(operands[k]);
    // A value that is stacked and a placeholder at once (the carries before a step) has its cotangent as it is.
    auto d = propagate(g, ys, cotangents, xs, {.loop = loop});
    flat_list<replacement> from_stacks;
    for (int s = 0; s < l.stacks(); ++s) {
        expr v{&g, l.stacked(s)};
        if (g.node_of(v.id).op == op_of<placeholder_row>()) continue;
        from_stacks.push_back({v, placeholder(g, v.of(), loop)});
        add_sequence(n.results.first + l.carries() + s, from_stacks.back().fresh.id);
    }
    expr_list found;
    for (int v : d)
        if (v >= 0) found.push_back({&g, v});
    found = substitute(found, from_stacks);
    std::size_t replaced = 0;
    for (int& v : d)
        if (v >= 0) v = found[replaced++].id;
    for (int c = 0; c < l.carries(); ++c) {
        if (dcarry[static_cast<std::size_t>(c)] < 0) continue;
        int v = d[static_cast<std::size_t>(l.sequences() + c)];
        next.push_back(v >= 0 ? v : zeros(g.type_of(l.carry(c))));
    }
    flat_list<int> result(operands.size(), -1);
    flat_list<std::size_t> summed;
    for (std::size_t k = static_cast<std::size_t>(kept); k < operands.size(); ++k) {
        if (d[k] < 0 || !floating(operands[k])) continue;
        type t = g.type_of(operands[k]);
        int sum = add_carry(zeros(t), t);
        next.push_back((expr{&g, sum} + expr{&g, d[k]}).id);
        summed.push_back(k);
    }
    flat_list<std::size_t> sliced;
    for (std::size_t s = 0; s < static_cast<std::size_t>(l.sequences()); ++s)
        if (d[s] >= 0 && floating(operands[s])) {
            stacked.push_back(d[s]);
            sliced.push_back(s);
        }
    stacked.append(carries);  // for the next derivative
    for (int v : costly_values(g, loop, next)) stacked.push_back(v);
    if (carries.empty()) return result;
    expr r = make_scan(g, loop, !l.reverse(), l.steps(), sequences, first, slices, carries, next,
                       stacked);
    int position = 0;
    for (int c = 0; c < l.carries(); ++c)
        if (dcarry[static_cast<std::size_t>(c)] >= 0)
            result[static_cast<std::size_t>(l.sequences() + c)] = r.id + position++;
    for (auto k : summed) result[k] = r.id + position++;
    for (auto s : sliced) result[s] = r.id + position++;
    return result;
}

constexpr bool check_wrt(std::string_view op, graph& g, flat_view<const expr> xs) {
    for (expr x : xs) {
        if (!tensor(x, op, &g).valid()) return false;
        if (!is_floating(x.element())) {
            g.fail(text{} << op << ": the derivative by a tensor of dtype " << name_of(x.element())
                          << ": only floating tensors have one");
            return false;
        }
    }
    return true;
}

/// A name for what a derivative was asked by: the parameter's or input's own, else the op's.
constexpr text described(const graph& g, int v) {
    text t;
    for (const auto& p : g.parameters)
        if (p.value == v) t << "parameter " << g.name(p.name);
    for (const auto& i : g.inputs)
        if (i.value == v) t << "input " << g.name(i.name);
    if (t.empty()) t << "a result of " << row_of(g.node_of(v)).name;
    return t;
}

/// The op that lets no derivative pass from y to x, where a path leads through it: empty for none.
constexpr std::string_view op_between(const graph& g, int y, int x) {
    flat_list<char> reached(g.values.size(), 0), seen(g.values.size(), 0);
    reached[static_cast<std::size_t>(x)] = 1;
    for (const node& n : g.nodes)
        for (int u : g.operands(n))
            if (reached[static_cast<std::size_t>(u)])
                for (int r = 0; r < n.results.count; ++r)
                    reached[static_cast<std::size_t>(n.results.first + r)] = 1;
    flat_list<int> todo{y};
    while (!todo.empty()) {
        int v = todo.back();
        todo.pop_back();
        if (seen[static_cast<std::size_t>(v)] || !reached[static_cast<std::size_t>(v)]) continue;
        seen[static_cast<std::size_t>(v)] = 1;
        const node& n = g.node_of(v);
        if (row_of(n).cuts) return row_of(n).name;
        for (int u : g.operands(n)) todo.push_back(u);
    }
    return {};
}

constexpr expr_list pull(std::string_view op, graph& g, flat_view<const expr> ys,
                         flat_view<const expr> dys, flat_view<const expr> xs,
                         bool disconnected_is_zero, bool recompute = true) {
    if (!check_wrt(op, g, xs)) return poisons(g, xs.size());
    flat_list<int> y, dy, x;
    for (expr e : ys) y.push_back(e.id);
    for (expr e : dys) dy.push_back(e.id);
    for (expr e : xs) x.push_back(e.id);
    for (int v : y)
        if (v < 0) return poisons(g, xs.size());
    for (int v : dy)
        if (v < 0) return poisons(g, xs.size());
    auto d = propagate(g, y, dy, x, {.recompute = recompute});
    expr_list result;
    for (std::size_t i = 0; i < xs.size(); ++i) {
        if (d[i] < 0 && !disconnected_is_zero && !g.failed()) {
            text t;
            t << op << ": no path leads to " << described(g, xs[i].id).view();
            auto cut = op_between(g, y[0], x[i]);
            if (!cut.empty()) t << ", since " << cut << " has no derivative";
            if (op == "grad") t << ": ask for etch::allow_disconnected to get zeros";
            g.fail(t);
        }
        if (g.failed()) return poisons(g, xs.size());
        result.push_back(d[i] < 0 ? zeros_like(xs[i]) : expr{&g, d[i]});
    }
    return result;
}
constexpr expr_list gradient(const operand& y, flat_view<const expr> xs, bool disconnected_is_zero,
                             std::string_view op = "grad") {
    graph* beside = xs.empty() ? nullptr : xs[0].g;
    located here(y.g ? y.g : beside, y.where);
    expr loss = tensor(y, op, beside);
    graph& g = *loss.g;
    if (!loss.valid()) return poisons(g, xs.size());
    if (loss.rank() != 0 || !is_floating(loss.element())) {
        g.fail(text{} << op << ": takes a floating scalar, not " << name_of(loss.element()) << ' '
                      << shape_text(g, loss.of())
                      << (op == "grad" ? ": write grad(sum(y), x)" : ": write mean(loss)"));
        return poisons(g, xs.size());
    }
    expr one = scalar(g, loss.element(), 1);
    return pull(op, g, flat_view<const expr>(&loss, 1), flat_view<const expr>(&one, 1), xs,
                disconnected_is_zero);
}
}  // namespace detail

/// d y / d x for a scalar y: one expression of x's shape. x is any floating expression that y was computed from. A path
/// that does not exist is a mistake, unless etch::allow_disconnected asks for zeros.
constexpr expr grad(const operand& y, expr x) {
    return detail::gradient(y, flat_view<const expr>(&x, 1), false)[0];
}
constexpr expr grad(const operand& y, expr x, allow_disconnected_flag) {
    return detail::gradient(y, flat_view<const expr>(&x, 1), true)[0];
}
/// One derivative for each x.
constexpr expr_list grad(const operand& y, const expr_list& xs) {
    return detail::gradient(y, xs, false);
}
constexpr expr_list grad(const operand& y, const expr_list& xs, allow_disconnected_flag) {
    return detail::gradient(y, xs, true);
}
constexpr expr_list grad(const operand& y, std::initializer_list<expr> xs) {
    return detail::gradient(y, {xs.begin(), xs.size()}, false);
}
constexpr expr_list grad(const operand& y, std::initializer_list<expr> xs,
                         allow_disconnected_flag) {
    return detail::gradient(y, {xs.begin(), xs.size()}, true);
}

/// Vector-Jacobian product (Theano: Lop): one result per x, sum over ys of cotangent * dy/dx. Zeros where no path leads.
constexpr expr_list vjp(const expr_list& ys, const expr_list& xs, const expr_list& cotangents,
                        std::source_location where = std::source_location::current()) {
    if (xs.empty()) return {};
    graph& g = detail::graph_of("vjp", ys);
    located here(&g, where);
    if (cotangents.size() != ys.size()) {
        g.fail(text{} << "vjp: " << ys.size() << " results and " << cotangents.size()
                      << " cotangents");
        return detail::poisons(g, xs.size());
    }
    for (std::size_t i = 0; i < ys.size(); ++i)
        if (ys[i].valid() && cotangents[i].valid() && !(ys[i].of() == cotangents[i].of())) {
            g.fail(text{} << "vjp: the cotangent of " << name_of(ys[i].element()) << ' '
                          << shape_text(g, ys[i].of()) << " has "
                          << name_of(cotangents[i].element()) << ' '
                          << shape_text(g, cotangents[i].of()));
            return detail::poisons(g, xs.size());
        }
    return detail::pull("vjp", g, ys, cotangents, xs, true);
}

/// Jacobian-vector product (Theano: Rop): one result per y, sum over xs of dy/dx * tangent. The pull-back is linear in
/// its cotangent u, so pulling the tangents back through it, by u, is the push-forward; no row needs a second rule.
constexpr expr_list jvp(const expr_list& ys, const expr_list& xs, const expr_list& tangents,
                        std::source_location where = std::source_location::current()) {
    if (ys.empty()) return {};
    graph& g = detail::graph_of("jvp", xs);
    located here(&g, where);
    if (tangents.size() != xs.size()) {
        g.fail(text{} << "jvp: " << xs.size() << " variables and " << tangents.size()
                      << " tangents");
        return detail::poisons(g, ys.size());
    }
    for (std::size_t i = 0; i < xs.size(); ++i)
        if (xs[i].valid() && tangents[i].valid() && !(xs[i].of() == tangents[i].of())) {
            g.fail(text{} << "jvp: the tangent of " << name_of(xs[i].element()) << ' '
                          << shape_text(g, xs[i].of()) << " has " << name_of(tangents[i].element())
                          << ' ' << shape_text(g, tangents[i].of()));
            return detail::poisons(g, ys.size());
        }
    expr_list seeds;
    for (expr y : ys) {
        if (!y.valid()) return detail::poisons(g, ys.size());
        seeds.push_back(detail::placeholder(g, y.of()));
    }
    // The push-forward holds no seed, and so nothing may wait for one.
    auto back = detail::pull("jvp", g, ys, seeds, xs, true, false);
    auto forth = detail::pull("jvp", g, back, tangents, seeds, true);
    return forth;
}

/// Theano's names.
constexpr expr_list Lop(const expr_list& ys, const expr_list& xs, const expr_list& cotangents,
                        std::source_location where = std::source_location::current()) {
    return vjp(ys, xs, cotangents, where);
}
constexpr expr_list Rop(const expr_list& ys, const expr_list& xs, const expr_list& tangents,
                        std::source_location where = std::source_location::current()) {
    return jvp(ys, xs, tangents, where);
}
/// sum over xs of (d2 y / dx dx') * v: one result per x.
constexpr expr_list hessian_vector_product(const operand& y, const expr_list& xs,
                                           const expr_list& vs) {
    located here(y);
    return jvp(detail::gradient(y, xs, true), xs, vs, y.where);
}

}  // namespace etch
