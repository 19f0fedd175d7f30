// SPDX-License-Identifier: MIT
// Trains a small network on 8,000 handwritten digits and tests it on 2,000 others.
//   digits [--epochs 15] [--batch 32] [--data folder] [--csv loss.csv]
#include <array>
#include <cstdio>
#include <cstdlib>
#include <etch.hpp>
#include <fstream>
#include <string_view>

#include "idx.hpp"
#include "progress.hpp"

#ifndef ETCH_EXAMPLE_DATA
#define ETCH_EXAMPLE_DATA "examples/data"
#endif

// [model]
constexpr auto digits = [](etch::graph& g) {  // runs inside the C++ compiler
    auto N = g.dim("N");                      // a named extent, bound when the function is called
    auto image = g.input<float>("image", {N, 784});
    auto label = g.input<int>("label", {N});

    auto h = relu(etch::nn::dense(image, 256, "hidden"));
    auto logits = etch::nn::dense(h, 10, "output");
    auto loss = mean(cross_entropy(logits, label));

    g.output("loss", loss);
    g.output("accuracy", mean(equal(argmax(logits), label)));
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
};
// [/model]

// The whole training step: forward, backward and update. Asserted while compiling.
static_assert(etch::plan<digits>.kernels() <= 9 && etch::plan<digits>.gemms() <= 5);

constexpr auto classify = [](etch::graph& g) {  // shares the parameters by their names
    auto image = g.input<float>("image", {g.dim("N"), 784});
    auto h = relu(etch::nn::dense(image, 256, "hidden"));
    g.output("digit", argmax(etch::nn::dense(h, 10, "output")));
};

struct settings {
    int epochs = 15, batch = 32;
    std::string data = ETCH_EXAMPLE_DATA "/mnist10k", csv = "digits_loss.csv";
};

static settings read_arguments(int count, char** words) {
    settings s;
    for (int i = 1; i < count; ++i) {
        std::string_view name = words[i];
        auto next = [&]() -> std::string {
            if (i + 1 == count)
                throw std::runtime_error(std::string(name) + ": a value is missing");
            return words[++i];
        };
        auto number = [&] {
            std::string text = next();
            char* end = nullptr;
            long n = std::strtol(text.c_str(), &end, 10);
            if (text.empty() || *end || n < 1 || n > 1000000)
                throw std::runtime_error(std::string(name) + ": " + text +
                                         " is not a number from 1 to 1000000");
            return static_cast<int>(n);
        };
        if (name == "--epochs")
            s.epochs = number();
        else if (name == "--batch")
            s.batch = number();
        else if (name == "--data")
            s.data = next();
        else if (name == "--csv")
            s.csv = next();
        else
            throw std::runtime_error(
                "usage: digits [--epochs n] [--batch n] [--data folder] [--csv file]");
    }
    return s;
}

static void print_confusion(const std::array<std::array<int, 10>, 10>& count) {
    std::printf(
        "\nconfusion: a row for each true digit, a column for what it was taken for\n     ");
    for (int column = 0; column < 10; ++column) std::printf("%5d", column);
    std::printf("\n");
    for (std::size_t row = 0; row < 10; ++row) {
        std::printf("%4zu:", row);
        for (int n : count[row]) std::printf("%5d", n);
        std::printf("\n");
    }
}

static int run(const settings& s) {
    auto train = examples::read_images(s.data + "/train-images-idx3-ubyte.gz",
                                       s.data + "/train-labels-idx1-ubyte.gz", 10);
    auto test = examples::read_images(s.data + "/t10k-images-idx3-ubyte.gz",
                                      s.data + "/t10k-labels-idx1-ubyte.gz", 10);
    if (train.size != 784 || test.size != 784 || train.count == 0 || test.count == 0)
        throw std::runtime_error(s.data + ": the pictures are not 28 by 28");
    std::ofstream csv(s.csv);
    if (!csv) throw std::runtime_error(s.csv + ": cannot be written");
    csv << "step,loss\n";

    etch::function<digits> step;
    etch::function<classify> answer{step.state()};
    std::vector<float> image;
    std::vector<int> label;
    std::array<std::array<int, 10>, 10> confusion{};
    double accuracy = 0;
    long steps = 0;
    auto begin = examples::progress::start();
    for (int epoch = 1; epoch <= s.epochs; ++epoch) {
        examples::progress bar(epoch, s.epochs, train.count);
        auto order = etch::permutation(static_cast<std::int32_t>(train.count), 0,
                                       static_cast<std::uint64_t>(epoch));
        double sum = 0;
        for (long done = 0; done < train.count;) {
            long n = std::min<long>(s.batch, train.count - done);
            image.clear();
            label.clear();
            for (long i = done; i < done + n; ++i) {
                auto k = order[static_cast<std::size_t>(i)];
                auto first = train.images.begin() + std::ptrdiff_t{k} * 784;
                image.insert(image.end(), first, first + 784);
                label.push_back(train.labels[static_cast<std::size_t>(k)]);
            }
            auto [loss, correct] = step(image, label);
            done += n;
            sum += static_cast<double>(loss) * static_cast<double>(n);
            csv << ++steps << ',' << loss << '\n';
            bar.show(done, (epoch - 1) * train.count, sum / static_cast<double>(done));
        }
        auto [digit] = answer(test.images);
        confusion = {};
        long right = 0;
        for (std::size_t i = 0; i < test.labels.size(); ++i) {
            auto guess = static_cast<std::size_t>(digit.template data<int>()[i]);
            ++confusion[static_cast<std::size_t>(test.labels[i])][guess];
            right += guess == static_cast<std::size_t>(test.labels[i]);
        }
        accuracy = static_cast<double>(right) / static_cast<double>(test.count);
        bar.finish((epoch - 1) * train.count, sum / static_cast<double>(train.count), accuracy);
    }
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    print_confusion(confusion);
    if (!csv.flush()) throw std::runtime_error(s.csv + ": cannot be written");
    std::printf(
        "\nthe loss of each step is in %s\ntest accuracy %.2f %% after %.1f s of training\n",
        s.csv.c_str(), 100 * accuracy, seconds);
    return 0;
}

int main(int count, char** words) {
    try {
        return run(read_arguments(count, words));
    } catch (const std::exception& e) {
        std::fprintf(stderr, "digits: %s\n", e.what());
        return 1;
    }
}
