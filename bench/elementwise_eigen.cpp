// SPDX-License-Identifier: MIT
// The case `elementwise` as array expressions of Eigen, which has no threads for them.
#include <Eigen/Core>
#include <cmath>
#include <memory>

#include "elementwise.hpp"

namespace {

using namespace bench::elementwise;
using array = Eigen::Array<float, Eigen::Dynamic, 1>;

struct arrays {
    array x, z, y, p, m, v;
    float steps = 0;
};

array from(const std::vector<float>& x) {
    return Eigen::Map<const array>(x.data(), static_cast<Eigen::Index>(x.size()));
}

void run(std::string_view formula, arrays& all) {
    const array &x = all.x, &z = all.z;
    if (formula == "affine") {
        all.y = a * x + b * z + c;
    } else if (formula == "tanh") {
        all.y = (a * x + b).tanh();
    } else if (formula == "gelu") {
        all.y = 0.5f * x * (1 + (0.7978845608f * (x + 0.044715f * x.cube())).tanh());
    } else if (formula == "wave") {
        all.y = (x.square() + z.square()).sqrt() * (-x.square()).exp() + z;
    } else {
        ++all.steps;
        float size = rate / (1 - std::pow(beta1, all.steps)),
              spread = 1 / std::sqrt(1 - std::pow(beta2, all.steps));
        all.m = beta1 * all.m + (1 - beta1) * x;
        all.v = beta2 * all.v + (1 - beta2) * x.square();
        all.p -= size * all.m / (all.v.sqrt() * spread + epsilon);
    }
}

bench::task make(std::string_view formula, std::size_t n) {
    bool adam = formula == "adam";
    auto all = std::make_shared<arrays>();
    all->x = from(x(n));
    if (!adam) all->z = from(z(n)), all->y.resize(static_cast<Eigen::Index>(n));
    return {[=] { run(formula, *all); },
            [=] {
                std::vector<double> elements;
                for (int i = 0; i < (adam ? checked_steps : 1); ++i) run(formula, *all);
                bench::sample_elements(elements, adam ? all->p.data() : all->y.data(), n);
                return elements;
            },
            [=] {
                if (!adam) return;
                all->p = from(z(n));
                all->m.setZero(all->x.size()), all->v.setZero(all->x.size());
                all->steps = 0;
            }};
}

}  // namespace

int main() { return bench::serve(all(make)); }
