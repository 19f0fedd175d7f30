// SPDX-License-Identifier: MIT
// What every timed program shares: it reads commands, a line each, and answers with one line, so that bench/run can time
// many programs in turn. A command names a function and its arguments, which are made from the text alone, so that all
// programs, and those in Python (peers/worker.py), compute from the same numbers.
//   functions                              the names of all
//   check 0 FUNCTION ARGUMENT...           numbers that all programs must agree on
//   time SECONDS FUNCTION ARGUMENT...      seconds per call, one number for each sample
//   first 0 FUNCTION ARGUMENT...           one call, the first one
// An argument is dtype:extents:stream:low:high, as f32:32x784:1:-0.5:0.5, see `array`.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace bench {

/// Number i of a stream, uniform in [0, 1): the last steps are those of xxHash32.
inline float uniform(std::uint32_t i, std::uint32_t stream) {
    std::uint32_t h = i * 2654435761u + stream * 2246822519u;
    h = (h ^ (h >> 15)) * 2246822519u;
    h = (h ^ (h >> 13)) * 3266489917u;
    h ^= h >> 16;
    return static_cast<float>(h >> 8) * 0x1p-24f;
}

/// Cache lines begin where arrays do: no program shall be slow for the accident of an address.
template <class T> struct aligned_allocator {
    using value_type = T;
    static constexpr std::align_val_t alignment{64};
    aligned_allocator() = default;
    template <class U> aligned_allocator(const aligned_allocator<U>&) {}
    T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), alignment)); }
    void deallocate(T* p, std::size_t) { ::operator delete(p, alignment); }
    bool operator==(const aligned_allocator&) const = default;
};
template <class T> using elements_of = std::vector<T, aligned_allocator<T>>;

/// Row-major elements of float, double or int with a shape.
struct array {
    std::vector<std::int64_t> shape;
    std::variant<elements_of<float>, elements_of<double>, elements_of<int>> elements;

    template <class T = float> static array zeros(std::vector<std::int64_t> shape) {
        return {shape, elements_of<T>(static_cast<std::size_t>(count(shape)))};
    }
    /// From its description, see above: element i is low + (high - low) * uniform(i, stream), in its dtype.
    static array parse(std::string text) {
        for (char& c : text)
            if (c == ':') c = ' ';
        std::istringstream words(text);
        std::string type, extents;
        std::uint32_t stream = 0;
        double low = 0, high = 0;
        words >> type >> extents >> stream >> low >> high;
        std::istringstream numbers(extents);
        std::vector<std::int64_t> shape;
        for (std::string e; std::getline(numbers, e, 'x');) shape.push_back(std::stoll(e));
        array a = type == "f64"   ? zeros<double>(shape)
                  : type == "i32" ? zeros<int>(shape)
                                  : zeros<float>(shape);
        std::visit(
            [=](auto& list) {
                using T = typename std::remove_reference_t<decltype(list)>::value_type;
                using real = std::conditional_t<std::is_same_v<T, double>, double, float>;
                real from = static_cast<real>(low), width = static_cast<real>(high) - from;
                for (std::uint32_t i = 0; i < list.size(); ++i)
                    list[i] = static_cast<T>(from + width * static_cast<real>(uniform(i, stream)));
            },
            a.elements);
        return a;
    }
    template <class T = float> T* data() { return std::get<elements_of<T>>(elements).data(); }
    template <class T = float> const T* data() const {
        return std::get<elements_of<T>>(elements).data();
    }
    static std::int64_t count(const std::vector<std::int64_t>& shape) {
        std::int64_t n = 1;
        for (auto e : shape) n *= e;
        return n;
    }
    std::int64_t size() const { return count(shape); }
    std::int64_t extent(std::size_t axis) const { return shape[axis]; }
};
using arrays = std::vector<array>;

/// The evenly spaced elements that stand for a large result.
template <class T> void sample_elements(std::vector<double>& to, const T* x, std::int64_t n) {
    std::int64_t step = n / 16 > 0 ? n / 16 : 1;
    for (std::int64_t i = 0; i < n; i += step) to.push_back(static_cast<double>(x[i]));
    to.push_back(static_cast<double>(x[n - 1]));
}

struct task {
    std::function<void()> run;                   // what is timed
    std::function<std::vector<double>()> check;  // after `reset`
    std::function<void()> reset = [] {};         // to the state before the first run
};
/// A task is made when its function and arguments are first named, and the last one is dropped before.
using functions = std::map<std::string, std::function<task(arrays)>>;

/// What a function without state reads and writes; the results are there before and written again at each call.
struct job {
    arrays in, out;
};
/// `results(in)` makes the arrays of the results, `run` computes them.
template <class Results, class Run> std::function<task(arrays)> pure(Results results, Run run) {
    return [=](arrays in) {
        auto held = std::make_shared<job>();
        held->out = results(in);
        held->in = std::move(in);
        return task{
            [=] { run(*held); },
            [=] {
                run(*held);
                std::vector<double> sampled;
                for (const array& a : held->out)
                    std::visit([&](auto& list) { sample_elements(sampled, list.data(), a.size()); },
                               a.elements);
                return sampled;
            }};
    };
}
/// Results that are often asked for.
inline arrays like_first(const arrays& in) { return {array::zeros(in[0].shape)}; }
inline arrays scalar(const arrays&) { return {array::zeros({1})}; }
inline arrays one_a_row(const arrays& in) { return {array::zeros({in[0].extent(0)})}; }
inline arrays one_a_column(const arrays& in) { return {array::zeros({in[0].extent(1)})}; }

/// Training: the check is the losses of the first steps. After more of them rounding decides: where a gradient is nearly
/// zero, Adam takes its sign.
template <class Net> task training(std::shared_ptr<Net> net) {
    return {[net] { net->step(); },
            [net] {
                std::vector<double> losses;
                for (int i = 0; i < 3; ++i) losses.push_back(static_cast<double>(net->step()));
                return losses;
            },
            [net] { net->reset(); }};
}

/// With BENCH_CLOCK=cpu the time that the process has computed: what others do on the machine counts less then.
inline double now() {
    static const char* clock = std::getenv("BENCH_CLOCK");
    if (clock && std::string(clock) == "cpu")
        return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// A sample is as many calls as make it long enough to be measured.
inline std::vector<double> samples_of(const task& t, double seconds) {
    t.reset();
    t.run();
    double begin = now();
    t.run();
    double once = now() - begin;
    constexpr double shortest = 50e-6;
    auto calls =
        once < shortest ? static_cast<long>(shortest / (once > 1e-8 ? once : 1e-8)) + 1 : 1;
    double sample = once * static_cast<double>(calls);
    if (sample < seconds / 200) calls *= static_cast<long>(seconds / 200 / sample) + 1;
    std::vector<double> samples;
    double end = now() + seconds;
    while (samples.size() < 3 || now() < end) {
        begin = now();
        for (long i = 0; i < calls; ++i) t.run();
        samples.push_back((now() - begin) / static_cast<double>(calls));
    }
    return samples;
}

namespace detail {
inline std::string answer_to(const std::string& line, const functions& known, task& made,
                             std::string& current) {
    std::istringstream words(line);
    std::string command, name, rest;
    double seconds = 0;
    words >> command >> seconds;
    std::ostringstream answer;
    if (command == "functions") {
        for (auto& f : known) answer << f.first << ' ';
        return answer.str();
    }
    std::getline(words >> std::ws, rest);
    std::istringstream description(rest);
    description >> name;
    auto at = known.find(name);
    if (at == known.end()) return "unknown";
    if (current != rest) {
        made = {};
        current.clear();
        arrays in;
        for (std::string text; description >> text;) in.push_back(array::parse(text));
        made = at->second(std::move(in));
        current = rest;
    }
    std::vector<double> numbers;
    if (command == "check") {
        made.reset();
        numbers = made.check();
    } else if (command == "time") {
        numbers = samples_of(made, seconds);
    } else {
        made.run();
    }
    answer.precision(9);
    for (double x : numbers) answer << x << ' ';
    return answer.str();
}
}  // namespace detail

inline int serve(const functions& known) {
    std::string line, current;
    task made;
    while (std::getline(std::cin, line)) try {
            std::cout << detail::answer_to(line, known, made, current) << std::endl;
        } catch (const std::exception& e) {
            std::string said = e.what();
            for (char& c : said)
                if (c == '\n') c = ' ';
            std::cout << "failed: " << said << std::endl;
        }
    return 0;
}

}  // namespace bench
